"""What a build knows about one document: its verdicts, duplicates, cuts and tokens.

In: a build and the place of a row in it. Out: a `Story`, plain facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus import storage
from corpus.build import BUILD, Build
from corpus.look.story_cuts import CutContext, LineCut, Other, context, line_cuts
from corpus.manifest import Shard
from corpus.parts import read_columns
from corpus.stages.tokenize import mask_texts
from corpus.text.cut_texts import apply_cuts
from corpus.tokenize import document_table
from corpus.verdicts import (
    PLACE,
    JudgedPart,
    RowPlace,
    find_urls,
    index_parts,
    take_rows,
    verdict_rows,
)

SPLITS = ("training", "validation")
_MOST = 20  # duplicates, lines and cuts of one document that are told of
_READ = 10_000  # characters of a text that are held


@dataclass(frozen=True)
class Step:
    """What one stage made of the document.

    Attributes:
        stage: The stage.
        outcome: "kept", "dropped", or "not reached" by a document that was dropped before.
        reason: Why it was dropped, or None.
        facts: What the verdict says besides: score, probability, draw, jaccard, ...
    """

    stage: str
    outcome: str
    reason: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class TokenRange:
    """Where the document's tokens are: a shard, and the first and the last but one token in it."""

    split: str
    shard: str
    start: int
    end: int


@dataclass(frozen=True)
class Story:
    """All that a build knows about one document.

    Attributes:
        text: The first 10,000 characters; None for a page that was lost before it was text.
        text_bytes: The size of all of it as UTF-8.
        duplicate_of: The kept document that it was dropped for, or None.
        duplicates: Documents that were dropped for this one, at most 20, most similar first.
        duplicates_total: How many there are.
        lines: Lines that were cut for another document's, or its own, at most 20.
        lines_total: How many there are.
        cuts: What was cut for benchmarks, at most the first 20 places.
        cuts_total: How many there are.
        benchmarks: Those that share a gram with it.
        masked: How many of each kind of personal data a mark stands for in its tokens.
    """

    id: str
    source: str
    url: str | None
    date: str | None
    title: str | None
    language: str | None
    language_score: float | None
    place: Mapping[str, str | int]
    text: str | None
    text_bytes: int
    steps: tuple[Step, ...]
    duplicate_of: Other | None
    duplicates: tuple[Other, ...]
    duplicates_total: int
    lines: tuple[LineCut, ...]
    lines_total: int
    cuts: tuple[CutContext, ...]
    cuts_total: int
    benchmarks: tuple[str, ...]
    tokens: tuple[TokenRange, ...]
    masked: Mapping[str, int]


def lost_story(drop: Mapping[str, Any], shard: Shard) -> Story:
    """Return the story of a row that was lost before it was text: a row of a drops file."""
    facts = {} if drop["detail"] is None else {"detail": drop["detail"]}
    return Story(
        id=drop["id"],
        source=shard.source,
        url=drop["url"],
        date=None,
        title=None,
        language=None,
        language_score=None,
        place={key: drop[key] for key in PLACE if drop[key] is not None},
        text=None,
        text_bytes=0,
        steps=(Step("extract", "dropped", drop["reason"], facts),),
        duplicate_of=None,
        duplicates=(),
        duplicates_total=0,
        lines=(),
        lines_total=0,
        cuts=(),
        cuts_total=0,
        benchmarks=(),
        tokens=(),
        masked={},
    )


def document_story(build: Build, judged: Sequence[JudgedPart], place: RowPlace) -> Story:
    """Return the story of a document.

    Raises:
        IntegrityError: A file of the build is damaged.
    """
    one = judged[place.part]
    [document] = take_rows(one.part.documents, [place.row]).to_pylist()
    verdicts = {stage: rows[0] for stage, rows in verdict_rows(one, [place.row]).items()}
    duplicates, total = _duplicates(judged, document["id"], one.part.source)
    cuts = verdicts.get("decontaminate", {})
    lines = verdicts.get("dedup", {}).get("lines") or ()
    # With cuts of lines those of decontaminate are of both stages, and its own stand beside them.
    every = cuts.get("cuts") or verdicts.get("dedup", {}).get("cuts")
    found = cuts.get("benchmark_cuts", cuts.get("cuts")) or ()
    data = document["text"].encode()
    tokens = _tokens(build, one, document["id"])
    masked: Mapping[str, int] = {}
    if tokens:
        text = apply_cuts(document["text"], every)
        masked = mask_texts([text], build.stage("tokenize").settings.get("mask", ()))[1]
    return Story(
        **{key: document[key] for key in ("id", "source", "url", "date", "title")},
        text=document["text"][:_READ],
        language=document["language"],
        language_score=document["language_score"],
        place={key: document[key] for key in PLACE if document[key] is not None},
        text_bytes=len(data),
        steps=(Step("extract", "kept", None, {}), *_steps(build, document, verdicts)),
        duplicate_of=_keeper(build, judged, verdicts.get("dedup", {})),
        duplicates=duplicates,
        duplicates_total=total,
        lines=tuple(line_cuts(judged, data, lines[:_MOST])),
        lines_total=len(lines),
        cuts=tuple(context(data, cut["start"], cut["end"]) for cut in found[:_MOST]),
        cuts_total=len(found),
        benchmarks=tuple(cuts.get("benchmarks") or ()),
        tokens=tokens,
        masked=masked,
    )


def _steps(
    build: Build, document: Mapping[str, Any], verdicts: Mapping[str, Mapping[str, Any]]
) -> Iterator[Step]:
    for stage, verdict in verdicts.items():
        kept = verdict["kept"]
        outcome = "not reached" if kept is None else "kept" if kept else "dropped"
        facts: dict[str, Any] = {}
        if stage == "filter":
            facts = _quality(build, document, verdict)
        elif stage == "dedup" and verdict["jaccard"] is not None:
            facts = {"jaccard": verdict["jaccard"]}
        elif stage == "dedup" and verdict.get("lines"):
            facts = {"lines": len(verdict["lines"])}
        elif stage == "decontaminate" and (cuts := verdict.get("benchmark_cuts", verdict["cuts"])):
            facts = {"cuts": len(cuts)}
        yield Step(stage, outcome, verdict["reason"], facts)


def _quality(
    build: Build, document: Mapping[str, Any], verdict: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the score, and for a filtered source what it was drawn against (Appendix A)."""
    facts = {k: v for k in ("score", "rule") if (v := verdict.get(k)) is not None}
    recipe = storage.read_json(storage.join(build.output, BUILD))["recipe"]
    facts["filtered"] = recipe["sources"][document["source"]]["filter"]
    if facts["filtered"] and "score" in facts:
        from corpus.text import quality

        settings = build.stage("filter").settings
        score = np.array([facts["score"]])
        probability = quality.keep_probability(score, alpha=settings["alpha"])
        draw = quality.draws(pa.array([document["id"]]), seed=settings["seed"])
        facts |= {
            "alpha": settings["alpha"],
            "keep_probability": float(probability[0]),
            "draw": float(draw[0]),
        }
    return facts


def _keeper(build: Build, judged: Sequence[JudgedPart], verdict: Mapping[str, Any]) -> Other | None:
    id, source = verdict.get("duplicate_of"), verdict.get("duplicate_source")
    if id is None or source is None:
        return None
    index = None
    if verdict["duplicate_index"] is not None:
        index = build.stage("dedup").summary["index"][verdict["duplicate_index"]]
        judged = index_parts(index)
    url = find_urls(judged, [(id, source)]).get((id, source))
    return Other(id, source, url, verdict["jaccard"], index)


def _duplicates(
    judged: Sequence[JudgedPart], id: str, source: str
) -> tuple[tuple[Other, ...], int]:
    found: list[tuple[float, str, int, int]] = []
    for index, one in enumerate(judged):
        if "dedup" in one.verdicts:
            columns = ["id", "duplicate_of", "duplicate_source", "duplicate_index", "jaccard"]
            table = read_columns(one.verdicts["dedup"], columns)
            same = pc.and_(
                pc.equal(table["duplicate_of"], id), pc.equal(table["duplicate_source"], source)
            )
            same = pc.and_(same, table["duplicate_index"].is_null())
            mask = same.fill_null(False).combine_chunks().to_numpy(zero_copy_only=False)
            rows = np.flatnonzero(mask).tolist()
            for row, own in zip(
                rows, table.take(pa.array(rows, pa.int64())).to_pylist(), strict=True
            ):
                found.append((-(own["jaccard"] or 0.0), own["id"], index, row))
    found.sort()
    others = []
    for jaccard, other, index, row in found[:_MOST]:
        part = judged[index].part
        url = take_rows(part.documents, [row], ["url"])["url"][0].as_py()
        others.append(Other(other, part.source, url, -jaccard or None))
    return tuple(others), len(found)


def _tokens(build: Build, one: JudgedPart, id: str) -> tuple[TokenRange, ...]:
    tokenize = build.manifests.get("tokenize")
    found: list[TokenRange] = []
    for made in tokenize.shards if tokenize else ():
        if tokenize is None or (made.source, made.name) != (one.part.source, one.part.name):
            continue
        for split in SPLITS:
            for output in made.all(f"{split}_documents"):
                with storage.local_copy(tokenize.path(output)) as path:
                    ranges = document_table.DocumentTable(path).ranges(id)
                shard = tokenize.path(made.output(f"{split}_bin"))
                found += [TokenRange(split, shard, *range_) for range_ in ranges]
    return tuple(found)
