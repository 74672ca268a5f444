"""One document's story: where it came from, each verdict, its duplicates, its cuts, its tokens.

In: a build and an id, a URL, or a token of a shard. Out: a `Story` for each document (or lost page)
that it names; one URL may have been captured many times.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus import document_table, storage
from corpus.build import BUILD, Build
from corpus.document import DROP_SCHEMA
from corpus.errors import InputError
from corpus.inspect import PLACE
from corpus.manifest import Shard
from corpus.parts import read_columns
from corpus.verdicts import JudgedPart, RowPlace, find_ids, judged_parts, take_rows, verdict_rows

SPLITS = ("training", "validation")
MOST_STORIES = 100  # of one URL; a crawl can hold a front page of every day
_MOST_DUPLICATES = 20
_CONTEXT = 60  # characters that are shown before and after a cut
_NEAREST = 5
_COMPARED = 5000  # URLs that are compared with one that was not found


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
class Other:
    """Another document: the one that this one duplicates, or one that duplicates this one."""

    id: str
    source: str
    url: str | None
    jaccard: float


@dataclass(frozen=True)
class CutContext:
    """What was cut out: bytes of the text as UTF-8, and what stands before and after it."""

    start: int
    end: int
    before: str
    removed: str
    after: str


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
        text: Its text; None for a page that was lost before it was text.
        text_bytes: Its size as UTF-8.
        duplicate_of: The kept document that it was dropped for, or None.
        duplicates: Documents that were dropped for this one, at most 20, most similar first.
        duplicates_total: How many there are.
        benchmarks: Those that share a gram with it.
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
    cuts: tuple[CutContext, ...]
    benchmarks: tuple[str, ...]
    tokens: tuple[TokenRange, ...]


def explain(build: Build, key: str) -> list[Story]:
    """Return the stories of all documents and lost pages with an id or URL; at most 100.

    Raises:
        InputError: There is none; the nearest ones are named.
    """
    judged = judged_parts(build)
    stories = [
        _document_story(build, judged, RowPlace(index, row))
        for index, one in enumerate(judged)
        for row in _matching(one.part.documents, key)
    ][:MOST_STORIES]
    for shard, path in _drop_files(build):
        rows = _matching(path, key)[: MOST_STORIES - len(stories)]
        for drop in take_rows(path, rows, DROP_SCHEMA.names).to_pylist():
            stories.append(_lost_story(drop, shard))
    if not stories:
        near = _nearest([one.part.documents for one in judged], build, key)
        raise InputError(
            f"no document or page has the id or URL {key!r}",
            where=build.output,
            fix=f"Nearest: {', '.join(near)}" if near else "corpus inspect shows ids and URLs",
        )
    return stories


def explain_token(build: Build, shard: str, token: int) -> list[Story]:
    """Return the story of the document that holds a token of a shard.

    Args:
        build: The build.
        shard: Path of the shard's `.bin`, or the end of it: `wikipedia/part-00000-0000`.
        token: Number of the token in the shard, from 0.

    Raises:
        InputError: There is no such shard or token, or the stage tokenize is not built.
    """
    tokenize = build.stage("tokenize")
    wanted = shard.removesuffix(".bin").removesuffix(".idx").removeprefix("./")
    known: list[str] = []
    for made in tokenize.shards:
        for split in SPLITS:
            for output in made.all(f"{split}_bin"):
                prefix = tokenize.path(output).removesuffix(".bin")
                known.append(output.path.removesuffix(".bin"))
                # A whole path, or the end of one: mixture.json says `../tokenize-.../x/part`.
                if not f"/{prefix}".endswith(f"/{wanted.removeprefix('../')}"):
                    continue
                if not 0 <= token < output.rows:
                    raise InputError(f"it has {output.rows:,} tokens, from 0 on", where=prefix)
                with storage.local_copy(tokenize.path(made.output(f"{split}_documents"))) as path:
                    table = document_table.DocumentTable(path)
                [id] = table.ids_at(np.array([token]))
                return _story_in_part(build, made, id)
    near = difflib.get_close_matches(wanted, known, n=_NEAREST, cutoff=0.3)
    raise InputError(
        f"there is no token shard {shard!r}",
        where=tokenize.folder,
        fix=f"Nearest: {', '.join(near or known[:_NEAREST])}",
    )


def _story_in_part(build: Build, made: Shard, id: str) -> list[Story]:
    judged = judged_parts(build)
    return [
        _document_story(build, judged, place)
        for found, place in find_ids(judged, [id], sources=[made.source])
        if judged[place.part].part.name == made.name and found == id
    ]


def _drop_files(build: Build) -> Iterator[tuple[Shard, str]]:
    extract = build.stage("extract")
    for shard in extract.shards:
        for output in shard.all("dropped"):
            if output.rows:
                yield shard, extract.path(output)


def _matching(path: str, key: str) -> list[int]:
    """Return the rows of a documents or drops file with an id or URL."""
    table = read_columns(path, ["id", "url"])
    same = pc.or_kleene(pc.equal(table["id"], key), pc.equal(table["url"], key))
    mask = same.fill_null(False).combine_chunks().to_numpy(zero_copy_only=False)
    rows: list[int] = np.flatnonzero(mask).tolist()
    return rows


def _nearest(documents: Sequence[str], build: Build, key: str) -> list[str]:
    """Return ids that begin with the key, or URLs that hold it or are much like it."""
    ids: list[str] = []
    holding: list[str] = []
    compared: dict[str, None] = {}
    host = "/".join(key.split("/")[:3])
    for path in [*documents, *(path for _, path in _drop_files(build))]:
        table = read_columns(path, ["id", "url"])
        if len(key) >= 4:
            begins = table.filter(pc.starts_with(table["id"], key))
            ids += begins["id"][:_NEAREST].to_pylist()
            holds = pc.match_substring(table["url"], key, ignore_case=True)
            holding += table.filter(holds)["url"][:_NEAREST].to_pylist()
        same_host = table.filter(pc.starts_with(table["url"], host))
        compared |= dict.fromkeys(same_host["url"][: _COMPARED - len(compared)].to_pylist())
        if len(ids) >= _NEAREST:
            break
    near = list(dict.fromkeys([*ids, *holding]))[:_NEAREST]
    return near or difflib.get_close_matches(key, list(compared), n=_NEAREST, cutoff=0.8)


def _lost_story(drop: Mapping[str, Any], shard: Shard) -> Story:
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
        cuts=(),
        benchmarks=(),
        tokens=(),
    )


def _document_story(build: Build, judged: Sequence[JudgedPart], place: RowPlace) -> Story:
    one = judged[place.part]
    [document] = take_rows(one.part.documents, [place.row]).to_pylist()
    verdicts = {stage: rows[0] for stage, rows in verdict_rows(one, [place.row]).items()}
    duplicates, total = _duplicates(judged, document["id"], one.part.source)
    cuts = verdicts.get("decontaminate", {})
    data = document["text"].encode()
    return Story(
        **{key: document[key] for key in ("id", "source", "url", "date", "title", "text")},
        language=document["language"],
        language_score=document["language_score"],
        place={key: document[key] for key in PLACE if document[key] is not None},
        text_bytes=len(data),
        steps=(Step("extract", "kept", None, {}), *_steps(build, document, verdicts)),
        duplicate_of=_keeper(judged, verdicts.get("dedup", {})),
        duplicates=duplicates,
        duplicates_total=total,
        cuts=tuple(_context(data, cut["start"], cut["end"]) for cut in cuts.get("cuts") or ()),
        benchmarks=tuple(cuts.get("benchmarks") or ()),
        tokens=_tokens(build, one, document["id"]),
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
        elif stage == "decontaminate" and verdict["cuts"]:
            facts = {"cuts": len(verdict["cuts"])}
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


def _keeper(judged: Sequence[JudgedPart], verdict: Mapping[str, Any]) -> Other | None:
    id, source = verdict.get("duplicate_of"), verdict.get("duplicate_source")
    if id is None or source is None:
        return None
    url = None
    for _, place in find_ids(judged, [id], sources=[source]):
        part = judged[place.part].part
        url = take_rows(part.documents, [place.row], ["url"])["url"][0].as_py()
    return Other(id, source, url, verdict["jaccard"])


def _duplicates(
    judged: Sequence[JudgedPart], id: str, source: str
) -> tuple[tuple[Other, ...], int]:
    found: list[tuple[float, str, int, int]] = []
    for index, one in enumerate(judged):
        if "dedup" in one.verdicts:
            columns = ["id", "duplicate_of", "duplicate_source", "jaccard"]
            table = read_columns(one.verdicts["dedup"], columns)
            same = pc.and_(
                pc.equal(table["duplicate_of"], id), pc.equal(table["duplicate_source"], source)
            )
            mask = same.fill_null(False).combine_chunks().to_numpy(zero_copy_only=False)
            rows = np.flatnonzero(mask)
            for row, own in zip(rows, table.take(pa.array(rows)).to_pylist(), strict=True):
                found.append((-own["jaccard"], own["id"], index, int(row)))
    found.sort()
    others = []
    for jaccard, other, index, row in found[:_MOST_DUPLICATES]:
        part = judged[index].part
        url = take_rows(part.documents, [row], ["url"])["url"][0].as_py()
        others.append(Other(other, part.source, url, -jaccard))
    return tuple(others), len(found)


def _context(data: bytes, start: int, end: int) -> CutContext:
    return CutContext(
        start,
        end,
        data[:start].decode()[-_CONTEXT:],
        data[start:end].decode(),
        data[end:].decode()[:_CONTEXT],
    )


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
