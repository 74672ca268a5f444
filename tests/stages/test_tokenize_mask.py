"""tokenize and export with masks: what leaves the corpus, and that every verb agrees on it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from corpus import build as build_module
from corpus.build import Build
from corpus.cli import app
from corpus.config import Tokenize
from corpus.errors import RecipeError
from corpus.export import Export, describe, export
from corpus.look import explain
from corpus.look.check import check
from corpus.text import pii, tokenizer
from corpus.tokenize.document_table import DocumentTable
from corpus.tokenize.shards import TokenShard
from tests.made import Recording, make_recipe, run, text, write_jsonl

ITEM = " ".join(f"item{i}" for i in range(16))
MAIL, MASKED_MAIL = "ann@example.com", pii.MARKS["email"]
PHONE, MASKED_PHONE = "+49 89 99998123", pii.MARKS["phone"]


def documents(folder: Path) -> dict[str, str]:
    plain = {f"d{i}": text(i, 30) for i in range(40)}
    plain["mails"] = f"Write to {MAIL} or bob@example.org. é\n" + text("m")
    plain["phones"] = f"{text('p')} call {PHONE} or 93.184.216.34"
    # The address stands behind what is cut, and the number on both sides of it.
    plain["cut"] = f"{text('a', 90)} +49 89 999 {ITEM} {text('b', 90)} 98123 {MAIL} {text('c')}"
    # Of this address the window round the quote takes the end.
    plain["split"] = f"{text('e', 90)} ann@example.com {ITEM} {text('f', 90)}"
    rows = [{"id": id, "text": value, "title": f"By {MAIL}"} for id, value in plain.items()]
    del rows[3]["title"]
    write_jsonl(folder / "web.jsonl", rows)
    write_jsonl(folder / "quiz.jsonl", [{"q": ITEM}])
    return plain


def tokenized(folder: Path, mask: Any = None, progress: Recording | None = None) -> Build:
    documents(folder)
    recipe = make_recipe(
        {"web": {"documents": str(folder / "web.jsonl"), "weight": 1}},
        decontaminate={"benchmarks": str(folder / "quiz.jsonl"), "window": 10, "min_piece": 5},
        tokenize={} if mask is None else {"mask": mask},
        mix={"validation": 0.2, "sequence_length": 16},
        tokens=1000,
    )
    return run(recipe, folder / "out", progress=progress)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("masked")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Build:
    return tokenized(folder)


@pytest.fixture(scope="module")
def made(folder: Path, plain: Build) -> Build:
    return tokenized(folder, ["phone", "email", "ip"])


def decoded(build: Build) -> dict[str, str]:
    """Return every document's text by its tokens."""
    manifest, encoder = build.stage("tokenize"), tokenizer.load("gpt2")
    found: dict[str, str] = {}
    for shard in manifest.shards:
        for split in ("training", "validation"):
            for output in shard.all(f"{split}_bin"):
                prefix = manifest.path(output).removesuffix(".bin")
                tokens, table = (
                    TokenShard(prefix),
                    DocumentTable(Path(f"{prefix}.documents.parquet")),
                )
                ends = tokens.document_offsets
                for place, id in enumerate(table.ids.to_pylist()):
                    found[id] = encoder.decode(tokens.tokens[ends[place] : ends[place + 1] - 1])
    return found


def test_tokens_hold_marks_after_the_cuts_were_made(made: Build, plain: Build) -> None:
    before, after = decoded(plain), decoded(made)
    assert before.keys() == after.keys()
    assert after["mails"] == before["mails"].replace(MAIL, MASKED_MAIL).replace(
        "bob@example.org", MASKED_MAIL
    )
    assert after["phones"].endswith(f"call {MASKED_PHONE} or {pii.MARKS['ip']}")
    assert "item3" not in before["cut"]
    assert MAIL in before["cut"]
    assert after["cut"] == before["cut"].replace(MAIL, MASKED_MAIL)
    assert "ann@ex" in before["split"]
    assert after["split"] == before["split"]  # what a cut tore is not an address
    assert all(after[id] == before[id] for id in before if id.startswith("d"))
    assert MAIL not in "".join(after.values())


def test_the_manifest_counts_what_was_masked_in_both_splits(made: Build, plain: Build) -> None:
    manifest = made.stage("tokenize")
    assert {kind: manifest.measure(f"masked_{kind}") for kind in pii.KINDS} == {
        "email": 3,
        "ip": 1,
        "phone": 1,
    }
    assert manifest.settings["mask"] == ["email", "ip", "phone"]
    assert build_module.describe(manifest).endswith("masked 3 email, 1 ip, 1 phone")
    assert "mask" not in plain.stage("tokenize").settings
    assert "masked" not in build_module.describe(plain.stage("tokenize"))
    assert not any("masked" in key for s in plain.stage("tokenize").shards for key in s.measures)


def test_another_mask_tokenizes_anew_and_its_order_is_no_matter(folder: Path, made: Build) -> None:
    progress = Recording()
    again = tokenized(folder, ["ip", "email", "phone", "email"], progress)
    assert again.stage("tokenize").folder == made.stage("tokenize").folder
    assert not progress.made.get("tokenize")
    other = tokenized(folder, "email", progress)
    assert progress.made["tokenize"] == 1
    assert "extract" not in progress.made
    assert PHONE in decoded(other)["phones"]
    assert other.stage("tokenize").settings["mask"] == ["email"]


@pytest.mark.parametrize("full", [True, False])
def test_check_finds_a_masked_build_whole(made: Build, full: bool) -> None:
    assert check(made, full=full, say=lambda _: None).problems == ()


def test_check_finds_tokens_that_are_not_masked(plain: Build, made: Build) -> None:
    tokenize = plain.stage("tokenize")
    claimed = {**tokenize.settings, "mask": ["email"], "mask_version": pii.VERSION}
    lying = Build(
        plain.output,
        {**plain.manifests, "tokenize": _with_settings(tokenize, claimed)},
    )
    problems = check(lying, full=True, say=lambda _: None).problems
    assert sum("decodes to another text" in problem.what for problem in problems) == 2
    old = _with_settings(
        made.stage("tokenize"), {**made.stage("tokenize").settings, "mask_version": 0}
    )
    [problem] = check(
        Build(made.output, {**made.manifests, "tokenize": old}), full=True, say=lambda _: None
    ).problems
    assert "another version of the rules" in problem.what


def _with_settings(manifest: Any, settings: dict[str, Any]) -> Any:
    return dataclasses.replace(manifest, settings=settings)


def test_explain_says_what_a_document_s_tokens_hide(made: Build, plain: Build) -> None:
    [told] = explain.explain(made, "mails").stories
    assert dict(told.masked) == {"email": 2, "ip": 0, "phone": 0}
    assert told.text is not None
    assert MAIL in told.text  # the document is as it was read
    [tokens] = told.tokens
    shard = TokenShard(tokens.shard.removesuffix(".bin"))
    own = tokenizer.load("gpt2").decode(shard.tokens[tokens.start : tokens.end - 1])
    assert own.count(MASKED_MAIL) == 2
    assert dict(explain.explain(made, "split").stories[0].masked) == {
        "email": 0,
        "ip": 0,
        "phone": 0,
    }
    lines = [str(line) for line in explain.describe(explain.explain(made, "mails"))]
    assert "    masked there: 2 email" in lines
    for build, key in ((made, "d1"), (plain, "mails")):
        lines = [str(line) for line in explain.describe(explain.explain(build, key))]
        assert not any("masked there" in line for line in lines)


def exported(build: Build, folder: Path, form: str = "jsonl", **more: Any) -> Export:
    given = {"compression": "none", "force": False, "say": lambda _: None, **more}
    return export(build, form=form, folder=str(folder), **given)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_export_masks_texts_and_titles_of_its_own_accord(
    plain: Build, tmp_path: Path, form: str
) -> None:
    out = exported(plain, tmp_path / "out", form, mask=["phone", "email"])
    path = Path(out.files[0])
    if form == "parquet":
        rows = pq.read_table(path).to_pylist()
    else:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    titles = [row.get("title") for row in rows]
    assert titles.count(f"By {MASKED_MAIL}") == len(rows) - 1
    assert titles.count(None) == 1
    texts = {row["id"]: row["text"] for row in rows}
    assert texts["phones"].endswith(f"call {MASKED_PHONE} or 93.184.216.34")
    assert texts["cut"] == decoded(plain)["cut"].replace(MAIL, MASKED_MAIL)
    assert out.masked == {"email": 3 + len(rows) - 1, "phone": 1}
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert record["mask"] == ["email", "phone"]
    assert record["masked"] == out.masked
    assert list(describe(out))[1] == f"Masked {out.masked['email']:,} email, 1 phone"


def test_export_without_masks_is_what_it_was(made: Build, tmp_path: Path) -> None:
    out = exported(made, tmp_path / "out")
    assert out.masked == {}
    assert MAIL in Path(out.files[0]).read_text()
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert set(record) == {"format", "compression", "stages", "files", "digests"}


def test_export_refuses_kinds_that_are_none_and_masks_of_a_mixture(
    made: Build, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="'names' is not known"):
        exported(made, tmp_path / "out", mask=["names"])
    with pytest.raises(RecipeError, match="as it was tokenized"):
        exported(made, tmp_path / "out", "nanogpt", mask=["email"])
    assert not (tmp_path / "out").exists()


def test_export_takes_kinds_from_the_command_line(made: Build, tmp_path: Path) -> None:
    verb = ["export", "--output", made.output, "--format", "jsonl", "--compression", "none"]
    result = CliRunner().invoke(app, [*verb, "--to", str(tmp_path / "x"), "--mask", "email, ip"])
    assert result.exit_code == 0, result.output
    assert "1 ip" in result.output
    assert MAIL not in next((tmp_path / "x" / "web").glob("*.jsonl")).read_text()


def test_the_recipe_takes_one_kind_or_several_and_no_other() -> None:
    assert Tokenize.model_validate({"mask": "ip"}).mask == ("ip",)
    assert Tokenize.model_validate({"mask": ["phone", "email", "phone"]}).mask == ("email", "phone")
    with pytest.raises(ValueError, match="'email', 'ip' or 'phone'"):
        Tokenize.model_validate({"mask": ["name"]})
