"""A document's story: each part of it against what was put into the build."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from corpus.build import Build, read_build
from corpus.errors import InputError
from corpus.look import explain
from corpus.look.story import Story
from corpus.stages.tokenize import apply_cuts
from corpus.text import tokenizer
from corpus.tokenize.shards import TokenShard


@pytest.fixture
def made(finished_build: Path) -> Build:
    return read_build(str(finished_build))


def story(build: Build, key: str) -> Story:
    explanation = explain.explain(build, key)
    assert explanation.matches == 1
    return explanation.stories[0]


def shown(build: Build, key: str) -> str:
    return "\n".join(str(block) for block in explain.describe(explain.explain(build, key)))


def verdicts(build: Build, stage: str) -> list[dict[str, object]]:
    manifest = build.stage(stage)
    paths = [manifest.path(shard.output("verdict")) for shard in manifest.shards]
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def test_explain_by_url_and_by_id_tell_the_same_story(made: Build) -> None:
    by_url = story(made, "https://essays.example/0")
    assert story(made, by_url.id) == by_url
    assert by_url.source == "essays"
    assert by_url.title == "Essay 0"
    assert by_url.place == {"dump": "essays.jsonl", "page": 1}


def test_explain_a_keeper_lists_what_was_dropped_for_it(made: Build) -> None:
    keeper = story(made, "https://essays.example/0")
    assert keeper.duplicate_of is None
    assert [other.url for other in keeper.duplicates] == [
        "https://mirror.example/0",
        "https://mirror.example/1",
    ]
    assert keeper.duplicates_total == 2
    assert keeper.duplicates[0].jaccard == 1 > keeper.duplicates[1].jaccard > 0.9


def test_explain_a_duplicate_names_its_keeper_and_stops_there(made: Build) -> None:
    dropped = story(made, "https://mirror.example/1")
    assert dropped.duplicate_of is not None
    assert dropped.duplicate_of.url == "https://essays.example/0"
    assert dropped.duplicate_of.source == "essays"
    assert [(step.stage, step.outcome) for step in dropped.steps] == [
        ("extract", "kept"),
        ("filter", "kept"),
        ("dedup", "dropped"),
        ("decontaminate", "not reached"),
    ]
    assert dropped.tokens == ()
    assert "near_duplicate" in shown(made, dropped.id)


def test_explain_quality_draw_and_probability_agree_with_every_verdict(made: Build) -> None:
    rows = [row for row in verdicts(made, "filter") if row["kept"] in (True, False)]
    seen = set()
    for row in rows[::5]:
        told = story(made, str(row["id"]))
        facts = told.steps[1].facts
        assert facts["score"] == row["score"]
        assert facts["filtered"] == (told.source == "pages")
        if facts["filtered"]:
            assert facts["keep_probability"] == pytest.approx((2 - facts["score"]) ** -2)
            assert (facts["draw"] < facts["keep_probability"]) == row["kept"]
            seen.add(row["kept"])
    assert seen == {True, False}


def test_explain_unfiltered_source_says_so(made: Build) -> None:
    assert "this source is not filtered" in shown(made, "https://essays.example/2")


def test_explain_cuts_are_shown_in_context(made: Build) -> None:
    told = story(made, "https://essays.example/1")
    [cut] = told.cuts
    assert told.benchmarks == ("quiz",)
    assert told.text is not None
    data = told.text.encode()
    assert cut.removed == data[cut.start : cut.end].decode()
    assert "question0 question1" in cut.removed
    assert (cut.before + cut.removed + cut.after) in told.text
    assert 0 < len(cut.before) <= 60
    text = shown(made, told.id)
    assert "shares text with quiz" in text
    assert f"bytes {cut.start:,} to {cut.end:,}" in text
    assert " ".join(f"question{number}" for number in range(16)) in text, "behind 200 characters"


def test_explain_tokens_are_those_of_the_text_without_its_cuts(made: Build) -> None:
    encoder = tokenizer.load("gpt2")
    splits = set()
    for number in range(40):
        told = story(made, f"https://essays.example/{number}")
        [place] = told.tokens
        tokens = TokenShard(place.shard.removesuffix(".bin")).tokens[place.start : place.end]
        cuts = [{"start": cut.start, "end": cut.end} for cut in told.cuts]
        assert told.text is not None
        assert encoder.decode(tokens[:-1]) == apply_cuts(told.text, cuts)
        assert tokens[-1] == encoder.end_of_text
        splits.add(place.split)
    assert splits == {"training", "validation"}


def test_explain_token_leads_to_the_document_that_holds_it(made: Build) -> None:
    [place] = story(made, "https://essays.example/9").tokens
    for token in (place.start, place.end - 1):
        [told] = explain.explain_token(made, place.shard, token).stories
        assert told.url == "https://essays.example/9"
    [after] = explain.explain_token(made, place.shard, place.end).stories
    assert after.url != "https://essays.example/9"


@pytest.mark.parametrize("form", ["essays/{}", "../{}", "essays/{}.bin", "essays/{}.idx"])
def test_explain_token_takes_the_shard_as_the_mixture_writes_it(made: Build, form: str) -> None:
    name = "part-00000-0000"
    folder = Path(made.stage("tokenize").folder).name
    shard = form.format(f"{folder}/essays/{name}.bin" if form.startswith("..") else name)
    [told] = explain.explain_token(made, shard, 0).stories
    assert told.source == "essays"
    table = pq.read_table(
        Path(made.stage("tokenize").folder) / "essays" / f"{name}.documents.parquet"
    )
    assert told.id == table["id"][0].as_py()


def test_explain_token_outside_of_the_shard_or_of_no_shard_is_refused(made: Build) -> None:
    with pytest.raises(InputError, match="counted from 0"):
        explain.explain_token(made, "essays/part-00000-0000", 10**9)
    with pytest.raises(InputError, match=r"Nearest: .*essays/part-00000-0000"):
        explain.explain_token(made, "essay/part-0", 0)


def test_explain_url_captured_twice_tells_both(made: Build) -> None:
    explanation = explain.explain(made, "https://pages.example/6")
    assert explanation.matches == 2
    assert [told.title for told in explanation.stories] == ["Page 5", "Page 6"]


def test_explain_lost_line_tells_why(made: Build) -> None:
    extract = made.stage("extract")
    paths = [extract.path(shard.output("dropped")) for shard in extract.of("pages")]
    lost = [row for path in paths for row in pq.read_table(path).to_pylist()]
    told = story(made, next(row["id"] for row in lost if row["reason"] == "missing_text"))
    assert told.text is None
    assert told.place == {"dump": "pages-0.jsonl", "page": 62}
    assert [(s.stage, s.outcome, s.reason) for s in told.steps] == [
        ("extract", "dropped", "missing_text")
    ]
    assert "missing_text" in shown(made, told.id)


@pytest.mark.parametrize(
    ("key", "near"),
    [("ESSAYS.example/1", "https://essays.example/1"), ("https://pages.example/x7", "example/7")],
)
def test_explain_unknown_url_names_the_nearest(made: Build, key: str, near: str) -> None:
    with pytest.raises(InputError, match="Nearest") as caught:
        explain.explain(made, key)
    assert near in (caught.value.fix or "")


def test_explain_unknown_id_names_those_that_begin_like_it(made: Build) -> None:
    id = story(made, "https://essays.example/0").id
    with pytest.raises(InputError, match=f"Nearest: {id}"):
        explain.explain(made, id[:8])
    with pytest.raises(InputError, match="corpus inspect"):
        explain.explain(made, "no such thing")


def test_explain_story_is_plain_json(made: Build) -> None:
    import dataclasses

    explanation = explain.explain(made, "https://essays.example/1")
    value = json.loads(json.dumps(dataclasses.asdict(explanation)))
    assert value["stories"][0]["cuts"][0]["start"] > 0
    assert not isinstance(value["matches"], np.generic)
