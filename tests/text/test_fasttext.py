"""fastText models: the probabilities of fastText itself, and models that are not what they say.

`fasttext_models/` holds models that fastText trained on text of ours, and what it predicts of some
texts (`make.py` there writes both).
"""

from __future__ import annotations

import json
import random
import resource
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.errors import InputError
from corpus.filter import fasttext_file
from corpus.text import fasttext

FOLDER = Path(__file__).parent / "fasttext_models"
GOLDEN = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))
MODELS = sorted(GOLDEN["probabilities"])
LEFT_OUT = 1.1e-5  # fastText's tree search leaves out labels with less


def model_of(name: str) -> fasttext.FastText:
    return fasttext.parse(np.frombuffer((FOLDER / name).read_bytes(), np.uint8), where=name)


def assert_as_fasttext(found: np.ndarray[Any, Any], theirs: list[float | None]) -> None:
    for own, given in zip(found.tolist(), theirs, strict=True):
        if given is None:
            assert own < LEFT_OUT
        else:
            assert own == pytest.approx(min(given, 1), abs=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_those_of_fasttext(name: str) -> None:
    model = model_of(name)
    texts = pa.array(GOLDEN["texts"], pa.large_string())
    for label in range(len(GOLDEN["probabilities"][name][0])):
        theirs = [row[label] for row in GOLDEN["probabilities"][name]]
        assert_as_fasttext(fasttext.scores(texts, model, f"__label__{label}"), theirs)


def test_models_of_every_loss_and_both_forms_are_among_the_golden_ones() -> None:
    found = [model_of(name) for name in MODELS]
    assert {model.loss for model in found} == {0, 1, 2}
    assert {(model.dense.size > 0, model.pruned[0]) for model in found} == {
        (True, False),
        (False, False),
        (False, True),
    }
    assert any(model.coded.norm_codes.size for model in found)
    assert any(model.coded.last != model.coded.width for model in found)
    assert any(model.shape[3] > 0 for model in found)  # subwords


def test_scores_of_slices_and_of_single_texts_are_those_of_the_whole_column() -> None:
    model = model_of("ova.bin")
    texts = pa.array(GOLDEN["texts"], pa.string())
    whole = fasttext.scores(texts, model, "__label__1")
    assert fasttext.scores(texts.slice(3, 9), model, "__label__1").tolist() == whole[3:12].tolist()
    alone = [fasttext.scores(texts[i : i + 1], model, "__label__1")[0] for i in range(len(texts))]
    assert alone == whole.tolist()
    assert fasttext.scores(texts[:0], model, "__label__1").shape == (0,)


def test_a_line_break_is_white_space_and_nothing_behind_an_end_mark_counts() -> None:
    model = model_of("softmax.bin")

    def score(text: str) -> float:
        return float(fasttext.scores(pa.array([text]), model, "__label__0")[0])

    assert score("maver rine\nlodow") == score(" maver\trine lodow\0")
    assert score("maver </s> rine lodow") == score("maver")
    assert score("maver __label__0 __label__new rine") == score("maver rine")
    assert len({score("maver rine"), score("rine maver"), score("maver")}) == 3


HEADER = 8 + 12 * 4 + 8


def model_bytes(
    words: list[str],
    labels: list[str],
    *,
    rows: list[list[float]],
    output: list[list[float]],
    version: int = 12,
    **changes: int,
) -> bytes:
    """Return a dense model without n-grams, as fastText writes it."""
    given = {"dim": len(output[0]), "ngrams": 1, "loss": 3, "model": 3, "bucket": 0, "maxn": 0}
    given |= changes
    fields = [given["dim"], 5, 5, 1, 5, given["ngrams"], given["loss"], given["model"]]
    data = struct.pack("<2i", 793712314, version)
    data += struct.pack("<12id", *fields, given["bucket"], 2, given["maxn"], 100, 1e-4)
    data += struct.pack("<3i2q", len(words) + len(labels), len(words), len(labels), 100, -1)
    for kind, names in enumerate((words, labels)):
        for name in names:
            data += name.encode() + b"\0" + struct.pack("<qb", 3, kind)
    for matrix in (rows, output):
        values = np.array(matrix, "<f4")
        data += struct.pack("<?2q", False, *values.shape) + values.tobytes()
    return data


TINY: dict[str, Any] = {
    "words": ["</s>", "good", "bad"],
    "labels": ["__label__hq", "__label__cc"],
    "rows": [[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]],
    "output": [[2.0, 0.0], [0.0, 2.0]],
}


def parsed(data: bytes, where: str = "model.bin") -> fasttext.FastText:
    return fasttext.parse(np.frombuffer(data, np.uint8), where=where)


def test_a_model_written_by_hand_gives_the_softmax_of_the_mean_of_its_rows() -> None:
    model = parsed(model_bytes(**TINY))
    found = fasttext.scores(pa.array(["good good", "bad", "other"]), model, "__label__hq")
    difference = np.array([2 * 2, -2 * 1.5, 0])  # of the two outputs: two of three rows, one of two
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-difference)) + 1e-5, atol=1e-6)


def test_a_text_of_which_the_model_knows_nothing_has_score_zero() -> None:
    given = {**TINY, "words": ["good", "bad"], "rows": TINY["rows"][1:]}
    found = fasttext.scores(
        pa.array(["other", "", "good"]), parsed(model_bytes(**given)), "__label__hq"
    )
    assert found[:2].tolist() == [0, 0]
    assert found[2] > 0.9


def test_models_of_version_11_have_no_subwords_whatever_they_say() -> None:
    old = parsed(model_bytes(**TINY, version=11, maxn=6))
    new = parsed(model_bytes(**TINY))
    texts = pa.array(["good day", "bad"])
    for label in new.labels:
        np.testing.assert_array_equal(
            fasttext.scores(texts, old, label), fasttext.scores(texts, new, label)
        )


def test_a_label_that_is_not_there_is_refused_and_those_that_are_are_named() -> None:
    with pytest.raises(InputError) as caught:
        fasttext.scores(pa.array(["x"]), parsed(model_bytes(**TINY)), "__label__hk")
    assert "'__label__hk'" in caught.value.what
    assert "__label__hq" in str(caught.value.why)
    assert "__label__cc" in str(caught.value.why)


@pytest.mark.parametrize("name", ["softmax.bin", "pruned.ftz"])
def test_every_shorter_file_is_refused_as_cut_short(name: str) -> None:
    data = np.frombuffer((FOLDER / name).read_bytes(), np.uint8)
    for size in [*range(0, 200), *range(200, data.size, 97), data.size - 1]:
        with pytest.raises(InputError, match=r"cut short|not a fastText model"):
            fasttext.parse(data[:size], where=name)
    with pytest.raises(InputError, match="damaged"):
        parsed(data.tobytes() + b"\0")


@pytest.mark.parametrize("name", MODELS)
def test_damaged_bytes_give_an_error_or_numbers_that_are_probabilities(name: str) -> None:
    good = bytearray((FOLDER / name).read_bytes())
    generator = random.Random(name)
    texts = pa.array(GOLDEN["texts"][:12])
    refused = 0
    for _ in range(150):
        data = bytearray(good)
        for _ in range(generator.randrange(1, 4)):
            place = generator.choice([generator.randrange(len(data)), generator.randrange(400)])
            data[place] = generator.randrange(256)
        try:
            model = parsed(bytes(data))
            found = fasttext.scores(texts, model, model.labels[-1])
        except InputError:
            refused += 1
        else:
            assert ((found >= 0) & (found <= 1)).all()
    assert 0 < refused < 150


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 10}, "version 10"),
        ({"version": 13}, "version 13"),
        ({"model": 1}, "no classifier"),
        ({"loss": 9}, "loss 9"),
        ({"bucket": 7}, "a matrix of 3 × 2"),
        ({"ngrams": 2}, "0 buckets"),
        ({"maxn": 1000}, "subwords of 1000"),
        ({"dim": -4}, "-4 dimensions"),
    ],
)
def test_models_that_cannot_be_are_refused_with_the_reason(
    changes: dict[str, int], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        parsed(model_bytes(**TINY, **changes), where="some/model.bin")
    assert message in str(caught.value)
    assert caught.value.where == "some/model.bin"


def test_what_is_no_model_at_all_is_refused() -> None:
    for data in (b"", b"<html>", b"PK\3\4" + bytes(100)):
        with pytest.raises(InputError, match="not a fastText model"):
            parsed(data)


@pytest.mark.parametrize("place", [0, 4, 8])  # entries, words, labels
def test_a_dictionary_larger_than_the_file_sets_no_memory_aside(place: int) -> None:
    data = bytearray(model_bytes(**TINY))
    struct.pack_into("<i", data, HEADER + place, 2**31 - 1)
    if place == 0:
        struct.pack_into("<i", data, HEADER + 4, 2**31 - 3)
    with pytest.raises(InputError, match=r"cut short|damaged"):
        parsed(bytes(data))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_quantised_norms_that_are_no_numbers_are_refused(value: float) -> None:
    data = bytearray((FOLDER / "pruned.ftz").read_bytes())
    struct.pack_into("<f", data, len(data) - 4, value)  # the last norm of the output matrix
    with pytest.raises(InputError, match="Its quantised norms are not numbers"):
        parsed(bytes(data))


@pytest.mark.filterwarnings("error")
def test_quantised_output_that_overflows_is_no_warning_on_the_terminal() -> None:
    data = bytearray((FOLDER / "pruned.ftz").read_bytes())
    # Behind the centroids of the output matrix are 300 codes of norms, a header, and 256 norms.
    end = len(data) - 1024 - 16 - 300
    data[end - 4096 : end] = struct.pack("<f", 1e10) * 1024
    data[-1024:] = struct.pack("<f", 3e38) * 256
    model = parsed(bytes(data))
    assert np.isinf(model.output).any()


def test_numbers_that_are_none_are_an_error_and_not_a_score() -> None:
    for matrix in ("rows", "output"):
        given = {**TINY, matrix: [[float("nan")] * 2] * len(TINY[matrix])}
        for loss in (1, 3, 4):
            model = parsed(model_bytes(**given, loss=loss))
            with pytest.raises(InputError, match="no probability"):
                fasttext.scores(pa.array(["good"]), model, "__label__hq")


def test_a_large_model_is_mapped_and_not_read(tmp_path: Path) -> None:
    """3.2 GB of input matrix, of which the file system stores a few pages."""
    buckets = 400_000_000
    small = model_bytes(**TINY, bucket=0)
    places = small.index(struct.pack("<?2q", False, 3, 2), HEADER)
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        head = bytearray(small[:places])
        struct.pack_into("<i", head, 8 + 8 * 4, buckets)
        struct.pack_into("<i", head, 8 + 5 * 4, 2)  # pairs of words
        file.write(head + struct.pack("<?2q", False, 3 + buckets, 2))
        file.write(np.array(TINY["rows"], "<f4").tobytes())
        file.seek(buckets * 2 * 4, 1)
        file.write(small[places + 17 + 24 :])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = fasttext_file.load(str(path))
    found = fasttext.scores(pa.array(["good good", "bad"]), model, "__label__hq")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert path.stat().st_size > 3_200_000_000
    assert np.shares_memory(model.dense, model.data)
    assert grown < 300 << 10  # KiB
    assert found[0] > 0.7 > 0.3 > found[1]


def test_a_model_is_read_once_in_a_process_and_again_when_its_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(model_bytes(**TINY))
    first = fasttext_file.load(str(path))
    assert fasttext_file.load(str(path)) is first
    path.unlink()  # what is mapped stays as it was
    path.write_bytes(model_bytes(**{**TINY, "words": ["</s>", "fine", "bad"]}))
    second = fasttext_file.load(str(path))
    found = [fasttext.scores(pa.array(["fine"]), m, "__label__hq")[0] for m in (first, second)]
    assert found[0] < 0.6 < found[1]


def test_a_file_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        fasttext_file.load(str(tmp_path / "none.bin"))
    (tmp_path / "empty.bin").touch()
    with pytest.raises(InputError, match="not a fastText model"):
        fasttext_file.load(str(tmp_path / "empty.bin"))


# What fastText 0.9.2 says of these texts by lid.176.ftz; labels that it leaves out are None.
LANGUAGES = ("en", "de", "fr", "ru", "ja", "es")
IDENTIFIED: list[tuple[str, tuple[float | None, ...]]] = [
    (
        "The committee will meet again on Thursday, and nobody knows yet who is going to pay for "
        "it.",
        (0.98551244, 0.00118967, 0.00025693, 0.00043829, 0.00042243, 0.00030567),
    ),
    (
        "Der Zug nach Augsburg hat heute leider wieder zwanzig Minuten Verspätung.\n"
        "Wir warten also.",
        (0.00223596, 0.99115467, 0.00025325, 0.00050926, 6.78e-05, 0.00040763),
    ),
    (
        "Demain matin, nous irons au marché acheter des pommes, du pain et un peu de fromage.",
        (0.00196052, 0.00210498, 0.98043388, 0.00028701, 0.00014384, 0.00254461),
    ),
    (
        "Завтра утром мы поедем на дачу, если не будет дождя.",
        (0.0001004, 0.00015493, None, 0.95747662, 2.271e-05, None),
    ),
    (
        "明日は雨が降るそうですから、傘を持って行ってください。",
        (None, None, None, 1.083e-05, 1.00004649, 1.116e-05),
    ),
    (
        "Mañana por la mañana iremos al mercado",
        (0.00076688, 2.838e-05, 1.535e-05, 3.736e-05, None, 0.97846925),
    ),
    (
        "OK 12:30 http://example.com/",
        (0.30423474, 0.06057927, 0.02172305, 0.05170204, 0.04156222, 0.10955013),
    ),
    ("the", (0.72652817, 0.01969718, 0.01635045, 0.01849145, 0.00527099, 0.01668442)),
    ("", (0.12450418, 0.0802881, 0.05338496, 0.018612, 0.00966951, 0.03180796)),
]


@pytest.mark.real
def test_the_published_language_model_gives_the_numbers_of_fasttext(real_data: Path) -> None:
    model = fasttext_file.load(str(real_data / "languageid" / "lid.176.ftz"))
    assert len(model.labels) == 176
    texts = pa.array([text for text, _ in IDENTIFIED])
    for place, language in enumerate(LANGUAGES):
        found = fasttext.scores(texts, model, f"__label__{language}")
        assert_as_fasttext(found, [numbers[place] for _, numbers in IDENTIFIED])
