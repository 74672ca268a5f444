"""Whole folders: what an export leaves, what an import takes, and what neither touches."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from corpus.errors import InputError, IntegrityError, OutputError
from corpus.text import tokenizer
from corpus.trainer.interchange import exporting, importing
from corpus.trainer.interchange.exporting import export_model
from corpus.trainer.interchange.importing import import_model
from corpus.trainer.presets import Architecture
from corpus.trainer.pretrained import open_model
from tests.trainer.interchange.conftest import KINDS

FILE = "tokenizer.json"
FILES = {
    "config.json",
    "generation_config.json",
    "merges.txt",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_goes_there_and_back(
    kind: str, run_of: Callable[..., Path], tmp_path: Path
) -> None:
    run = run_of(kind)

    exported = export_model(str(run), to=str(tmp_path / "there"))
    imported = import_model(str(tmp_path / "there"), to=str(tmp_path / "back"))

    original, back = open_model(str(run)), open_model(str(tmp_path / "back"))
    assert (exported.carrier, exported.step) == (imported.carrier, 9)
    assert (back.step, back.folder) == (0, imported.checkpoint)
    assert back.model.shape == original.model.shape
    assert back.tokenizer.digest == original.tokenizer.digest
    tokens = torch.arange(48).view(2, 24) * 5 % 300
    assert torch.allclose(original.model(tokens), back.model(tokens), atol=5e-5)


def test_the_same_checkpoint_gives_the_same_bytes_in_the_same_files(
    run_of: Callable[..., Path], tmp_path: Path
) -> None:
    run = run_of("gpt2")
    for name in ("one", "two"):
        export_model(str(run), to=str(tmp_path / name))

    assert content(tmp_path / "one").keys() == FILES
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_model_is_replaced_only_if_that_is_asked_for(
    run_of: Callable[..., Path], tmp_path: Path
) -> None:
    to = tmp_path / "there"
    export_model(str(run_of("gpt2")), to=str(to))
    before = content(to)

    with pytest.raises(OutputError, match="there is a model in that folder"):
        export_model(str(run_of("openai-gpt")), to=str(to))
    assert content(to) == before

    export_model(str(run_of("openai-gpt")), to=str(to), force=True)
    assert json.loads((to / "config.json").read_text())["model_type"] == "openai-gpt"


def test_a_model_that_is_not_the_same_is_not_written(
    run_of: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the one that was to be replaced is no longer taken for whole."""
    run, to = run_of("gpt2"), tmp_path / "there"
    export_model(str(run), to=str(to))
    right = exporting.to_carrier

    def wrong(kind: str, weights: Mapping[str, Tensor], shape: Architecture) -> dict[str, Tensor]:
        tensors = right(kind, weights, shape)
        return tensors | {"transformer.ln_f.bias": tensors["transformer.ln_f.bias"] + 1}

    monkeypatch.setattr(exporting, "to_carrier", wrong)
    before = content(to)

    with pytest.raises(InputError, match="does not compute what our model computes"):
        export_model(str(run), to=str(to), force=True)

    assert content(to) == {name: data for name, data in before.items() if name != "config.json"}


def test_the_older_files_of_the_tokenizer_are_the_same_vocabulary(
    run_of: Callable[..., Path], tmp_path: Path
) -> None:
    export_model(str(run_of("gpt2")), to=str(tmp_path / "there"))
    written = tokenizer.load(str(tmp_path / "there" / "tokenizer.json"))
    whole = json.loads((tmp_path / "there" / "tokenizer.json").read_text())

    ids = json.loads((tmp_path / "there" / "vocab.json").read_text())
    version, *merges = (tmp_path / "there" / "merges.txt").read_text().splitlines()

    assert version == "#version: 0.2"
    assert [merge.split(" ") for merge in merges] == whole["model"]["merges"]
    assert ids == whole["model"]["vocab"] | {"<|endoftext|>": written.end_of_text}
    assert sorted(ids.values()) == list(range(300))


def split_in_two(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    weight_map = {}
    for number, part in enumerate((names[::2], names[1::2])):
        save_file({name: tensors[name] for name in part}, folder / f"part-{number}.safetensors")
        weight_map |= dict.fromkeys(part, f"part-{number}.safetensors")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_weights_in_several_files_are_read(run_of: Callable[..., Path], tmp_path: Path) -> None:
    export_model(str(run_of("gpt2")), to=str(tmp_path / "there"))
    whole = import_model(str(tmp_path / "there"), to=str(tmp_path / "a"))
    split_in_two(tmp_path / "there")

    parts = import_model(str(tmp_path / "there"), to=str(tmp_path / "b"))

    one, other = (load_file(f"{made.checkpoint}/model.safetensors") for made in (whole, parts))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def drop_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["transformer.h.1.ln_1.bias"]
    save_file(tensors, folder / "model.safetensors")


def widen_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.ln_f.bias"] = torch.zeros(33)
    save_file(tensors, folder / "model.safetensors")


def only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def escape(folder: Path) -> None:
    split_in_two(folder)
    (folder / "part-1.safetensors").rename(folder.parent / "part-1.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(index.read_text().replace("part-1", "../part-1"))


def another_vocabulary(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 304}))


def no_object(folder: Path) -> None:
    (folder / "config.json").write_text("[]")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_a_tensor, "the first h.1.ln_1.bias: missing"),
        (widen_a_tensor, r"the first ln_f.bias: (33,), expected (32,)"),
        (only_pickles, "pickled weights (.bin, .pt) are not read"),
        (cut, "cannot be read as safetensors"),
        (escape, "names files outside its folder"),
        (another_vocabulary, "It has 300 tokens, and the model has 304"),
        (no_object, "It is no object"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "there is no such file"),
        (lambda folder: (folder / "config.json").unlink(), "there is no such file"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused_and_nothing_is_written(
    damage: Callable[[Path], None], message: str, run_of: Callable[..., Path], tmp_path: Path
) -> None:
    export_model(str(run_of("gpt2")), to=str(tmp_path / "there"))
    damage(tmp_path / "there")

    with pytest.raises((InputError, IntegrityError)) as caught:
        import_model(str(tmp_path / "there"), to=str(tmp_path / "back"))

    assert message in str(caught.value)
    assert not (tmp_path / "back").exists()


def end_first(folder: Path) -> None:
    """Let "</s>" be id 0, "<pad>" the last, and all other ids one more than they were."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    ids = {token: id + 1 for token, id in content["model"]["vocab"].items() if id < 298}
    content["model"] |= {"vocab": ids, "merges": content["model"]["merges"][:-1]}
    [end] = content["added_tokens"]
    content["added_tokens"] = [end | {"id": 0, "content": "</s>"}, end | {"content": "<pad>"}]
    path.write_text(json.dumps(content))


def name_nothing(folder: Path) -> None:
    change(folder / "tokenizer_config.json", {}, without="eos_token")
    change(folder / "config.json", {"eos_token_id": 17})  # no added token: no one has set it


def change(path: Path, to: Mapping[str, object], *, without: str = "") -> None:
    content = json.loads(path.read_text()) | to
    path.write_text(json.dumps({key: v for key, v in content.items() if key != without}))


@pytest.mark.parametrize("named", ["text", "token", "id"])
def test_any_added_token_may_end_a_document_if_the_folder_names_it(
    named: str, run_of: Callable[..., Path], tmp_path: Path
) -> None:
    there = tmp_path / "there"
    export_model(str(run_of("gpt2")), to=str(there))
    end_first(there)
    name_nothing(there)
    if named == "id":
        change(there / "config.json", {"eos_token_id": 0})
    else:
        eos: object = "</s>" if named == "text" else {"content": "</s>", "lstrip": False}
        change(there / "tokenizer_config.json", {"eos_token": eos})

    import_model(str(there), to=str(tmp_path / "back"))
    encoder = open_model(str(tmp_path / "back")).tokenizer
    export_model(str(tmp_path / "back"), to=str(tmp_path / "again"))
    again = tokenizer.load(str(tmp_path / "again" / FILE))

    assert (encoder.end_of_text, encoder.vocabulary_size) == (0, 300)
    [ids] = encoder.encode(["the cat"])
    assert min(ids) > 0
    assert (again.end_of_text, again.digest) == (0, encoder.digest)
    assert json.loads((tmp_path / "again" / "config.json").read_text())["eos_token_id"] == 0
    theirs = pytest.importorskip("tokenizers").Tokenizer.from_file(str(tmp_path / "again" / FILE))
    assert theirs.token_to_id("<|endoftext|>") == 0
    assert theirs.encode("the cat").ids == ids.tolist()
    assert theirs.encode("<|endoftext|>").ids == [0]


@pytest.mark.parametrize(
    ("eos", "message"),
    [
        (None, "nothing says which one ends a document"),
        ("</end>", "A document ends with '</end>', and its added tokens are ['</s>', '<pad>']"),
        (["</s>"], "eos_token is not text"),
        ({"text": "</s>"}, "nothing says which one ends a document"),
    ],
)
def test_a_tokenizer_whose_end_of_text_is_not_known_is_refused(
    eos: object, message: str, run_of: Callable[..., Path], tmp_path: Path
) -> None:
    export_model(str(run_of("gpt2")), to=str(tmp_path / "there"))
    end_first(tmp_path / "there")
    name_nothing(tmp_path / "there")
    change(tmp_path / "there" / "tokenizer_config.json", {"eos_token": eos})

    with pytest.raises(InputError) as caught:
        import_model(str(tmp_path / "there"), to=str(tmp_path / "back"))

    assert message in str(caught.value)
    assert not (tmp_path / "back").exists()


def test_an_import_does_not_write_among_checkpoints(
    run_of: Callable[..., Path], tmp_path: Path
) -> None:
    run = run_of("gpt2")
    export_model(str(run), to=str(tmp_path / "there"))

    with pytest.raises(OutputError, match="there are checkpoints in that folder"):
        import_model(str(tmp_path / "there"), to=str(run))


def test_a_vocabulary_can_be_named_instead(run_of: Callable[..., Path], tmp_path: Path) -> None:
    run = run_of("gpt2")
    export_model(str(run), to=str(tmp_path / "there"))
    (tmp_path / "there" / "tokenizer.json").unlink()
    ranks = open_model(str(run)).folder + "/vocabulary.tiktoken"

    import_model(str(tmp_path / "there"), to=str(tmp_path / "back"), vocabulary=ranks)

    assert open_model(str(tmp_path / "back")).tokenizer.vocabulary_size == 300
    assert importing.TOKENIZER == "tokenizer.json"
