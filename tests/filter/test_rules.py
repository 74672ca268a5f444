"""The rules of `filter`: which is the first that a document breaks."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus import parts
from corpus.config import Filter
from corpus.config.heuristics import Heuristics
from corpus.errors import InputError
from corpus.filter import blocklists
from corpus.filter.rules import Blocklist, first_failures, rule_sets
from corpus.parts import Part
from corpus.progress import Silent
from corpus.text.c4 import C4
from corpus.text.fineweb import FineWeb
from corpus.text.gopher import GopherQuality, GopherRepetition
from tests.made import ENGINE

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


def reasons(part: Part, settings: dict[str, object]) -> list[object]:
    return first_failures(part, Filter.model_validate(settings), None).reasons.tolist()


def blocklist(folder: Path, text: str) -> Blocklist:
    (folder / "list").write_text(text)
    made = blocklists.blocklists([str(folder / "list")], str(folder / "output"), ENGINE, Silent())
    output = made.shards[0].output("entries")
    return Blocklist(made.path(output), output.sha256)


def test_no_rules_fail_nothing(tmp_path: Path) -> None:
    failures = first_failures(part(tmp_path, text=[BAD, ""]), Filter(), None)
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


def test_url_rule_drops_blocked_pages_and_keeps_those_without_a_url(tmp_path: Path) -> None:
    made = part(tmp_path, url=["https://bad.example/1", None, "https://good.example/"])
    failures = first_failures(made, Filter(), blocklist(tmp_path, "bad.example\n"))
    assert failures.reasons.tolist() == ["url", None, None]
    assert failures.rules.tolist() == ["list: bad.example", None, None]


@pytest.mark.parametrize("name", ["gopher", "c4", "fineweb"])
def test_heuristics_drop_a_bad_page_and_name_the_rule(tmp_path: Path, name: str) -> None:
    failures = first_failures(
        part(tmp_path, text=[GOOD, BAD]), Filter.model_validate({"heuristics": [name]}), None
    )
    assert failures.reasons[0] is None
    assert failures.rules[0] is None
    assert failures.reasons[1].startswith(name)
    assert failures.rules[1]


def heuristics(given: object) -> Heuristics:
    return Filter.model_validate({"heuristics": given}).heuristics


def test_sets_come_in_one_order_with_the_thresholds_of_their_papers() -> None:
    sets = rule_sets(heuristics(["fineweb", "c4", "gopher"]))
    assert [type(one).__name__ for one in sets] == [
        *("GopherQuality", "GopherRepetition", "C4", "FineWeb")
    ]
    assert sets == rule_sets(heuristics({"gopher": {}, "c4": None, "fineweb": {}}))
    gopher, repetition, c4, fineweb = sets
    assert isinstance(gopher, GopherQuality)
    assert isinstance(repetition, GopherRepetition)
    assert isinstance(c4, C4)
    assert isinstance(fineweb, FineWeb)
    assert (gopher.minimum_words, gopher.maximum_words, gopher.minimum_stop_words) == (50, 1e5, 2)
    assert (gopher.minimum_mean_word_length, gopher.maximum_mean_word_length) == (3, 10)
    assert (gopher.maximum_symbol_ratio, gopher.minimum_alphabetic_words) == (0.1, 0.8)
    assert (gopher.maximum_bullet_lines, gopher.maximum_ellipsis_lines) == (0.9, 0.3)
    assert repetition.maximum_top_ngram_characters == {2: 0.2, 3: 0.18, 4: 0.16}
    assert list(repetition.maximum_duplicate_ngram_characters.values()) == [
        *(0.15, 0.14, 0.13, 0.12, 0.11, 0.10)
    ]
    assert (c4.minimum_words_per_line, c4.minimum_sentences, c4.maximum_word_length) == (5, 3, 1000)
    assert (fineweb.minimum_punctuated_lines, fineweb.maximum_short_lines) == (0.12, 0.67)
    assert fineweb.maximum_duplicate_line_characters == 0.1


def test_thresholds_of_the_recipe_decide(tmp_path: Path) -> None:
    made = part(tmp_path, text=[GOOD, BAD])
    for given, expected in (
        ({"gopher": {"minimum_words": 100}}, "few_words"),
        ({"gopher": {"maximum_mean_word_length": 3.5}}, "long_words"),
        ({"gopher": {"maximum_top_ngram_characters": {"1": 0.01}}}, "top_1_gram"),
        ({"gopher": {"stop_words": ["Und", "der"]}}, "stop_words"),
        ({"c4": {"page_phrases": "Basket OF"}}, "page_phrase: basket of"),
        ({"c4": {"minimum_sentences": 5}}, "few_sentences"),
        ({"fineweb": {"end_marks": "!"}}, "punctuated_lines"),
        ({"fineweb": {"maximum_line_breaks": 0, "short_line": 0}}, None),
        ({"gopher": {"minimum_words": 20}, "c4": {}}, None),
    ):
        failures = first_failures(made, Filter.model_validate({"heuristics": given}), None)
        assert failures.rules[0] == expected
        assert failures.rules[1] is not None


def test_bad_words_are_read_from_files_and_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "en").write_bytes(b"\xef\xbb\xbfCheese\n\n  yo\n")
    (tmp_path / "de").write_text("Äpfel\ncheese\n")
    settings = heuristics({"c4": {"bad_words": [f"{tmp_path}/en", f"{tmp_path}/de"]}})
    (rules,) = rule_sets(settings)
    assert isinstance(rules, C4)
    assert rules.bad_words == ("cheese", "yo", "äpfel")
    made = part(tmp_path, text=[GOOD, GOOD.replace("cheese", "ham")])
    failures = first_failures(made, Filter(heuristics=settings), None)
    assert failures.rules.tolist() == ["bad_word: cheese", None]


@pytest.mark.parametrize(("content", "message"), [(None, "no such list"), (b"\xff", "not UTF-8")])
def test_list_of_words_that_cannot_be_read_is_an_input_error(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "words"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        rule_sets(heuristics({"c4": {"bad_words": str(path)}}))
    assert caught.value.where == str(path)


def test_first_rule_that_holds_is_the_reason_language_then_url_then_text(tmp_path: Path) -> None:
    made = part(
        tmp_path,
        language=["de", "en", "en", "en"],
        url=["https://bad.example/", "https://bad.example/", None, None],
        text=[BAD, BAD, BAD, GOOD],
    )
    settings = Filter.model_validate({"languages": {"en": 0.5}, "heuristics": ["fineweb"]})
    failures = first_failures(made, settings, blocklist(tmp_path, "bad.example\n"))
    assert failures.reasons.tolist() == ["language", "url", "fineweb", None]
    assert failures.rules.tolist() == [None, "list: bad.example", "punctuated_lines", None]


def test_every_batch_of_a_part_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "BATCH_ROWS", 2)
    languages = ["en", "de", "en", "en", "de", "de", "en"]
    texts = [GOOD, GOOD, BAD, GOOD, BAD, GOOD, BAD]
    made = part(tmp_path, language=languages, text=texts)
    found = reasons(made, {"languages": {"en": 0}, "heuristics": ["fineweb"]})
    assert found == [None, "language", "fineweb", None, "language", "language", "fineweb"]
