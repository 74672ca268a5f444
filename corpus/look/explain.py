"""The story of a document by its id, its URL, or a token of a shard.

In: a build and a key. Out: an `Explanation`, with a story for each document or lost page that the
key names (one URL may have been captured many times), and the lines that show it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from corpus import storage
from corpus.build import Build
from corpus.document import DROP_SCHEMA
from corpus.errors import InputError
from corpus.look.story import SPLITS, Step, Story, document_story, lost_story
from corpus.look.story_cuts import Other
from corpus.manifest import Manifest, Shard
from corpus.parts import read_columns
from corpus.tables import Block, excerpt, printable
from corpus.tokenize import document_table
from corpus.verdicts import RowPlace, find_ids, judged_parts, take_rows

_MOST_STORIES = 20  # of one URL; a crawl can hold a front page of every day
_NEAREST = 5
_COMPARED = 5000  # URLs that are compared with one that was not found
_EXCERPT = 300  # characters of the text that are shown
_CUT = 600  # characters of what was cut that are shown: a gram stands behind 200 others


@dataclass(frozen=True)
class Explanation:
    """The stories of what a key names: the first 20, and the number of all."""

    stories: tuple[Story, ...]
    matches: int


def explain(build: Build, key: str) -> Explanation:
    """Return the stories of all documents and lost pages with an id or URL.

    Raises:
        InputError: There is none; the nearest ones are named.
    """
    key = key.encode("utf-8", "replace").decode()  # a shell may hand over bytes that are no text
    judged = judged_parts(build)
    places = [
        RowPlace(index, row)
        for index, one in enumerate(judged)
        for row in _matching(one.part.documents, key)
    ]
    stories = [document_story(build, judged, place) for place in places[:_MOST_STORIES]]
    matches = len(places)
    for shard, path in _drop_files(build):
        rows = _matching(path, key)
        matches += len(rows)
        left = rows[: _MOST_STORIES - len(stories)]
        drops = take_rows(path, left, DROP_SCHEMA.names).to_pylist()
        stories += [lost_story(drop, shard) for drop in drops]
    if not stories:
        near = _nearest(build, [one.part.documents for one in judged], key)
        raise InputError(
            f"no document or page has the id or URL {key!r}",
            where=build.output,
            fix=f"Nearest: {', '.join(near)}" if near else "corpus inspect shows ids and URLs",
        )
    return Explanation(tuple(stories), matches)


def explain_token(build: Build, shard: str, token: int) -> Explanation:
    """Return the story of the document that holds a token of a shard.

    Args:
        build: The build.
        shard: Path of the shard's `.bin`, or the end of it: `wikipedia/part-00000-0000`.
        token: Number of the token in the shard, from 0.

    Raises:
        InputError: There is no such shard or token, or the stage tokenize is not built.
    """
    tokenize = build.stage("tokenize")
    made, split = _shard(tokenize, shard)
    output = made.output(f"{split}_bin")
    if not 0 <= token < output.rows:
        raise InputError(
            f"there is no token {token:,}",
            where=tokenize.path(output),
            fix=f"Its {output.rows:,} tokens are counted from 0",
        )
    with storage.local_copy(tokenize.path(made.output(f"{split}_documents"))) as path:
        [id] = document_table.DocumentTable(path).ids_at(np.array([token]))
    judged = judged_parts(build)
    stories = [
        document_story(build, judged, place)
        for _, place in find_ids(judged, [id], sources=[made.source])
        if judged[place.part].part.name == made.name
    ]
    return Explanation(tuple(stories), len(stories))


def _shard(tokenize: Manifest, name: str) -> tuple[Shard, str]:
    """Return the shard, and the split, of which a name is the path or its end."""
    # A whole path, or the end of one: mixture.json says `../tokenize-.../source/part`.
    wanted = name.removesuffix(".bin").removesuffix(".idx").lstrip("./")
    known: list[str] = []
    for made in tokenize.shards:
        for split in SPLITS:
            for output in made.all(f"{split}_bin"):
                prefix = tokenize.path(output).removesuffix(".bin")
                if f"/{prefix}".endswith(f"/{wanted}"):
                    return made, split
                known.append(output.path.removesuffix(".bin"))
    near = difflib.get_close_matches(wanted, known, n=_NEAREST, cutoff=0.3) or known[:_NEAREST]
    raise InputError(
        f"there is no token shard {name!r}",
        where=tokenize.folder,
        fix=f"Nearest: {', '.join(near)}",
    )


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


def _nearest(build: Build, documents: Sequence[str], key: str) -> list[str]:
    """Return ids that begin with the key, URLs that hold it, or URLs of its host much like it."""
    near: dict[str, None] = {}
    compared: dict[str, None] = {}
    host = "/".join(key.split("/")[:3])
    for path in [*documents, *(path for _, path in _drop_files(build))]:
        table = read_columns(path, ["id", "url"])
        begins = table["id"].filter(pc.starts_with(table["id"], key))
        holds = table["url"].filter(pc.match_substring(table["url"], key, ignore_case=True))
        for column in (begins, holds):
            near |= dict.fromkeys(column[:_NEAREST].to_pylist())
        if len(near) >= _NEAREST:
            return list(near)[:_NEAREST]
        urls = table["url"].filter(pc.starts_with(table["url"], host))
        compared |= dict.fromkeys(urls[: _COMPARED - len(compared)].to_pylist())
    return list(near) or difflib.get_close_matches(key, list(compared), n=_NEAREST, cutoff=0.8)


def describe(explanation: Explanation) -> Iterator[Block]:
    """Yield what a person reads: one story after the other."""
    for number, story in enumerate(explanation.stories):
        if number:
            yield ""
        yield from _lines(story)
    if explanation.matches > len(explanation.stories):
        yield ""
        yield f"And {explanation.matches - len(explanation.stories):,} more of this URL."


def _lines(story: Story) -> Iterator[str]:
    yield f"{printable(story.id)}  {story.source}  {printable(story.url or '(no URL)')}"
    if story.title:
        yield f"  title         {excerpt(story.title, _EXCERPT)}"
    places = (f"{key} {printable(str(value))}" for key, value in story.place.items())
    yield f"  from          {', '.join([*places, *([story.date] if story.date else [])])}"
    if story.text is not None:
        yield f"  text          {story.text_bytes:,} bytes: {excerpt(story.text, _EXCERPT)}"
    if story.language is not None:
        yield f"  language      {story.language}, {story.language_score or 0:.2f} of the text"
    for step in story.steps:
        yield f"  {step.stage:<14}{_outcome(step)}"
        if step.stage == "dedup":
            if story.duplicate_of is not None:
                yield f"    duplicate of {_other(story.duplicate_of)}"
            yield from (f"    duplicated by {_other(other)}" for other in story.duplicates)
            if story.duplicates_total > len(story.duplicates):
                yield f"    and by {story.duplicates_total - len(story.duplicates):,} more"
            yield from _line_cuts(story)
        if step.stage == "decontaminate" and story.cuts:
            yield f"    shares text with {', '.join(map(printable, story.benchmarks))}"
            for cut in story.cuts:
                yield f"    bytes {cut.start:,} to {cut.end:,} are cut out:"
                yield f"      … {printable(cut.before)}"
                yield f"      [ {excerpt(cut.removed, _CUT)} ]"
                yield f"      {printable(cut.after)} …"
            if story.cuts_total > len(story.cuts):
                yield f"    and {story.cuts_total - len(story.cuts):,} places more"
    for tokens in story.tokens:
        yield f"  {'tokenize':<14}{tokens.split}, tokens {tokens.start:,} to {tokens.end:,} of"
        yield f"    {tokens.shard}"
    if story.tokens and any(story.masked.values()):
        given = (f"{number:,} {kind}" for kind, number in story.masked.items() if number)
        yield f"    masked there: {', '.join(given)}"


def _line_cuts(story: Story) -> Iterator[str]:
    for line in story.lines:
        keeper = line.keeper
        there = f"{printable(keeper.id)}  {keeper.source}  {printable(keeper.url or '(no URL)')}"
        if (keeper.id, keeper.source) == (story.id, story.source):
            there = "this document, further up"
        yield f"    bytes {line.start:,} to {line.end:,} are cut, a line of {there}"
        yield f"      [ {excerpt(line.removed, _EXCERPT)} ]"
    if story.lines_total > len(story.lines):
        yield f"    and {story.lines_total - len(story.lines):,} lines more"


def _outcome(step: Step) -> str:
    facts = dict(step.facts)
    words = [f"{step.outcome}: {step.reason}" if step.reason else step.outcome]
    if step.outcome == "not reached":
        return "not reached"
    if "detail" in facts:
        words.append(printable(str(facts["detail"])))
    if "rule" in facts:
        words.append(f"rule {facts['rule']}")
    if "score" in facts:
        words.append(f"score {facts['score']:.4f}")
    if "draw" in facts:
        words.append(
            f"kept with probability {facts['keep_probability']:.4f} at alpha {facts['alpha']:g}, "
            f"drew {facts['draw']:.4f}"
        )
    elif facts.get("filtered") is False:
        words.append("this source is not filtered")
    if "lines" in facts:
        words.append(f"{facts['lines']:,} lines cut")
    if facts.get("jaccard") is not None:
        words.append(f"Jaccard {facts['jaccard']:.4f}")
    return ", ".join(words)


def _other(other: Other) -> str:
    where = printable(other.url or "(no URL)")
    there = f"  in the index {printable(other.index)}" if other.index else ""
    like = "the same URL" if other.jaccard is None else f"Jaccard {other.jaccard:.4f}"
    return f"{printable(other.id)}  {other.source}  {where}  {like}{there}"
