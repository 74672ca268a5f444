"""The rules of `filter`: which is the first that a document breaks."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus import parts
from corpus.config import Filter
from corpus.parts import Part
from corpus.rules import RULE_SETS, blocked_urls, first_failures, is_blocked

GOOD = (
    "The farmer walked to the market with a basket of apples that he had picked in the morning. "
    "It was a long way, and he had to rest by the river, where the water was cold and clear. "
    "When he came to the town he sold the apples to a woman who wanted to bake a cake for the feast"
    " of her youngest daughter. Then he bought bread and cheese, and be it as it may, he was happy."
)
BAD = "buy buy buy now now now!!! ### ### ### ... click"


def part(folder: Path, **columns: list[object]) -> Part:
    rows = len(next(iter(columns.values())))
    given = {
        "url": ["https://example.com/"] * rows,
        "language": ["en"] * rows,
        "language_score": pa.array([1.0] * rows, pa.float32()),
        "text": [GOOD] * rows,
        **columns,
    }
    if isinstance(given["language_score"], list):
        given["language_score"] = pa.array(given["language_score"], pa.float32())
    path = folder / "part.parquet"
    pq.write_table(pa.table(given), path)
    return Part("a", "part", str(path), "", rows, 1)


def reasons(part: Part, settings: dict[str, object], urls: list[str] | None = None) -> list[object]:
    return first_failures(part, Filter.model_validate(settings), urls or []).reasons.tolist()


def test_no_rules_fail_nothing(tmp_path: Path) -> None:
    failures = first_failures(part(tmp_path, text=[BAD, ""]), Filter(), [])
    assert failures.reasons.tolist() == [None, None]
    assert failures.rules.tolist() == [None, None]


def test_language_is_kept_from_its_floor_on_and_others_are_not(tmp_path: Path) -> None:
    made = part(
        tmp_path,
        language=["en", "en", "en", "de", "fr", None, "un"],
        # 0.65 as a float32 is a little more than 0.65, 0.6 a little more than 0.6.
        language_score=[0.65, 0.64, 1.0, 0.6, 1.0, None, 0.0],
    )
    assert reasons(made, {"languages": {"en": 0.65, "de": 0.6}}) == [
        None,
        "language",
        None,
        None,
        "language",
        "language",
        "language",
    ]


def test_lists_of_urls_are_read_with_comments_schemes_and_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("# list\nhttps://www.Bad.example/\n\n  worse.example # why\n")
    (tmp_path / "two").write_bytes(b"site.example/users/bad/\r\n\xff\xfe\r\n")
    found = blocked_urls([str(tmp_path / "one"), str(tmp_path / "two")])
    assert found >= {"bad.example", "worse.example", "site.example/users/bad"}
    assert len(found) == 4  # and the line that is no text


@pytest.mark.parametrize(
    ("url", "blocked"),
    [
        ("https://bad.example/", True),
        ("http://www.bad.example", True),
        ("https://sub.of.BAD.example/page?q=1", True),
        ("https://bad.example:8080/x", True),
        ("https://user@bad.example/x", True),
        ("https://notbad.example/", False),
        ("https://bad.example.org/", False),
        ("https://good.example/?u=bad.example", False),
        ("https://good.example/#bad.example", False),
        ("https://good.example/bad.example", False),
        ("https://site.example/", False),
        ("https://site.example/users/bad", True),
        ("https://site.example/users/bad/page.html", True),
        ("https://site.example/users/badger", False),
        ("https://site.example/users", False),
        ("https://www.site.example/users/bad?x", True),
        ("https://sub.site.example/users/bad", False),
        ("https://deep.example/a/b/c/d/e", True),
        ("https://deep.example/a/b/c", False),
        ("", False),
        ("not a url", False),
    ],
)
def test_url_is_blocked_by_its_domain_a_parent_domain_or_a_prefix_of_its_path(
    url: str, blocked: bool
) -> None:
    entries = {"bad.example", "site.example/users/bad", "deep.example/a/b/c/d"}
    assert is_blocked(url, frozenset(entries)) is blocked


def test_url_rule_drops_blocked_pages_and_keeps_those_without_a_url(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("bad.example\n")
    made = part(tmp_path, url=["https://bad.example/1", None, "https://good.example/"])
    assert reasons(made, {"urls": ["x"]}, [str(tmp_path / "list")]) == ["url", None, None]


@pytest.mark.parametrize("name", ["gopher", "c4", "fineweb"])
def test_heuristics_drop_a_bad_page_and_name_the_rule(tmp_path: Path, name: str) -> None:
    failures = first_failures(part(tmp_path, text=[GOOD, BAD]), Filter(heuristics=(name,)), [])
    assert failures.reasons[0] is None
    assert failures.rules[0] is None
    assert failures.reasons[1].startswith(name)
    assert failures.rules[1]


def test_sets_come_in_the_order_of_the_recipe_with_their_defaults() -> None:
    kinds = {name: [type(one).__name__ for one in rules] for name, rules in RULE_SETS.items()}
    assert kinds == {
        "gopher": ["GopherQuality", "GopherRepetition"],
        "c4": ["C4"],
        "fineweb": ["FineWeb"],
    }


def test_first_rule_that_holds_is_the_reason_language_then_url_then_text(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("bad.example\n")
    made = part(
        tmp_path,
        language=["de", "en", "en", "en"],
        url=["https://bad.example/", "https://bad.example/", None, None],
        text=[BAD, BAD, BAD, GOOD],
    )
    settings: dict[str, object] = {"languages": {"en": 0.5}, "urls": "x", "heuristics": ["fineweb"]}
    failures = first_failures(made, Filter.model_validate(settings), [str(tmp_path / "list")])
    assert failures.reasons.tolist() == ["language", "url", "fineweb", None]
    assert [rule is None for rule in failures.rules] == [True, True, False, True]


def test_every_batch_of_a_part_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "BATCH_ROWS", 2)
    languages = ["en", "de", "en", "en", "de", "de", "en"]
    texts = [GOOD, GOOD, BAD, GOOD, BAD, GOOD, BAD]
    made = part(tmp_path, language=languages, text=texts)
    found = reasons(made, {"languages": {"en": 0}, "heuristics": ["fineweb"]})
    assert found == [None, "language", "fineweb", None, "language", "language", "fineweb"]
