"""corpus similar: the neighbours of a text, in a build and in its indexes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpus.cli import app
from corpus.errors import InputError, RecipeError
from corpus.look.similar import describe, similar
from tests.dedup.test_index import snapshot
from tests.made import changed, text
from tests.stages.test_dedup import jaccard, row


def two(folder: Path) -> Path:
    """Build a snapshot and another one that is checked against it."""
    base = text(1)
    one = {"id": "near", "text": changed(base, 1, 3), "url": "https://near.example/"}
    snapshot(folder, "one", {"a": [[one, row("far", text(2))], [row("short", "two words")]]})
    new = {"b": [[row("base", f"{base} end"), row("other", text(3))]]}
    snapshot(folder, "two", new, [folder / "one"], threshold=0.95)
    return folder / "two"


def test_neighbours_come_most_similar_first_with_their_true_jaccard(tmp_path: Path) -> None:
    folder, base = two(tmp_path), text(1)
    found = similar(str(folder), base, number=10, least=0)
    assert [one.id for one in found.neighbours] == ["base", "near"]
    for one, other in zip(found.neighbours, (f"{base} end", changed(base, 1, 3)), strict=True):
        assert one.jaccard == pytest.approx(jaccard(base, other), abs=1e-12)
        assert one.excerpt.startswith(other[:200])
        assert (one.kept, one.exact) == (True, False)
    assert [Path(one.folder).name for one in found.neighbours] == ["two", "one"]
    assert found.neighbours[1].url == "https://near.example/"
    assert (found.documents, found.candidates) == (5, 2)
    assert len(similar(str(folder), base, number=1, least=0).neighbours) == 1
    least = found.neighbours[1].jaccard + 0.01
    assert [one.id for one in similar(str(folder), base, number=9, least=least).neighbours] == [
        "base"
    ]


def test_exact_copies_are_found_although_they_have_no_shingle(tmp_path: Path) -> None:
    found = similar(str(two(tmp_path)), "two words", number=10, least=0)
    assert [(one.id, one.jaccard, one.exact) for one in found.neighbours] == [("short", 1.0, True)]
    assert "fewer words than a shingle" in str(next(describe(found)))


def test_dropped_neighbour_says_for_what(tmp_path: Path) -> None:
    base = text(1)
    snapshot(tmp_path, "one", {"a": [[row("k", f"{base} and more"), row("d", base)]]})
    found = similar(str(tmp_path / "one"), base, number=10, least=0)
    assert [(one.id, one.kept, one.duplicate_of) for one in found.neighbours] == [
        ("d", False, "k"),
        ("k", True, None),
    ]
    assert "dropped for k, an exact copy" in str(next(describe(found)))


def test_verb_takes_a_text_a_file_or_what_comes_in(tmp_path: Path) -> None:
    folder, base = two(tmp_path), text(1)
    path = tmp_path / "page.txt"
    path.write_text(base)
    answers = []
    for given, stream in ((base, None), (str(path), None), ("-", base)):
        arguments = ["similar", given, "--output", str(folder), "--json"]
        result = CliRunner().invoke(app, arguments, input=stream, catch_exceptions=False)
        answers.append(json.loads(result.output))
    assert answers[0] == answers[1] == answers[2]
    assert [one["id"] for one in answers[0]["neighbours"]] == ["base", "near"]
    lines = CliRunner().invoke(app, ["similar", base, "-o", str(folder)]).output
    assert "base  b  kept" in lines
    none = CliRunner().invoke(app, ["similar", text("none"), "-o", str(folder)]).output
    assert "No similar document was found." in none
    assert "5 documents searched, 0 share a band" in none


def test_what_cannot_be_asked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(two(tmp_path))
    with pytest.raises(InputError, match="the text is empty"):
        similar(folder, " \n", number=1, least=0)
    with pytest.raises(InputError, match="no build here"):
        similar(str(tmp_path / "none"), "text", number=1, least=0)
    monkeypatch.setattr("corpus.text.minhash.SIGNATURE_VERSION", "another")
    with pytest.raises(RecipeError, match="other signatures: versions"):
        similar(folder, "text", number=1, least=0)
