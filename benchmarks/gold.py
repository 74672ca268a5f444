"""How well pages become text: ours and the extractors by themselves, against texts made by people.

`python benchmarks/gold.py [FOLDER]` prints mean token F1 on CleanEval and on WCXB by type of page,
and how many of the phrases that must be in the text, or must not, are where they should be. FOLDER
is the one with `gold/` and `commoncrawl/`; without it, `$CORPUS_TEST_DATA`.

"By itself" is what a program would call: `trafilatura.extract(body, include_comments=False)`, its
best setting, and resiliparse's main content of what it detects and decodes. Ours gets the same
bytes from our reader and goes through `corpus.text.extraction`.

CleanEval's texts have lost every character that windows-1252 has at 0x80 to 0x9F ("wasnt", and
"gapwhich" where the page has a dash): an extractor that decodes the page as a browser does would
lose to one that drops them. So they are taken out of its texts and of what is found there.

`--update` writes the figures to `tests/gold_floors.json`, where `tests/test_gold.py` holds them; a
lower one is refused unless `--allow-regression` is given.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from corpus.document import Page
from corpus.sources import warc
from corpus.text import extraction

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ROOT / "tests" / "gold_floors.json"
EXTRACTORS = ("trafilatura", "resiliparse")
SAMPLE = 160  # pages that the test looks at
Figures = dict[str, dict[str, Any]]  # by extent: a digest, and floors by extractor and group
_LOST = {ord(c): None for c in bytes(range(0x80, 0xA0)).decode("cp1252", "ignore")}
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Judged:
    """A page and what people said of it.

    Attributes:
        key: Archive and offset, the same on every machine.
        groups: What its F1 counts for, such as `WCXB` and `WCXB forum`; none without a text.
        text: The main text, as people marked it.
        wanted: Phrases that belong to it, unwanted: phrases that do not.
    """

    key: str
    page: Page
    groups: tuple[str, ...]
    text: str
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    """What one extraction of a page is worth."""

    f1: float
    wanted_found: int
    unwanted_found: int


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    with path.open("rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8"):
            yield json.loads(line)


def load(data: Path) -> list[Judged]:
    """Return every judged page, in the order of their keys."""
    truth: dict[str, dict[str, Any]] = {}
    for name in ("main_text", "snippets"):
        for row in _rows(data / "gold" / f"{name}.jsonl.zst"):
            truth[f"{Path(str(row['warc'])).name}:{row['offset']}"] = row
    judged = []
    for path in sorted((data / "commoncrawl").rglob("warc/*.warc.gz")):
        for item in warc.read(str(path), name=path.name, max_page_bytes=10 << 20):
            key = f"{path.name}:{item.place.warc_offset}"
            if isinstance(item, Page) and key in truth:
                judged.append(_judged(key, item, truth.pop(key)))
    if truth:
        raise SystemExit(f"{len(truth)} judged pages are not in the archives: {sorted(truth)[:3]}")
    return sorted(judged, key=lambda one: one.key)


def _judged(key: str, page: Page, row: dict[str, Any]) -> Judged:
    groups: tuple[str, ...] = ()
    if row["set"] == "cleaneval":
        groups = ("CleanEval",)
    elif row["set"] == "wcxb":
        groups = ("WCXB", f"WCXB {row['page_type']}")
    phrases = (tuple(map(_flat, row.get(name) or ())) for name in ("with", "without"))
    return Judged(key, page, groups, row.get("text", ""), *phrases)


def _flat(text: str) -> str:
    return " ".join(text.split())


def sample(judged: Sequence[Judged]) -> list[Judged]:
    """Return the test's pages: those whose keys have the smallest hashes."""
    by_hash = sorted(judged, key=lambda one: hashlib.sha256(one.key.encode()).digest())
    return sorted(by_hash[:SAMPLE], key=lambda one: one.key)


def digest(judged: Sequence[Judged]) -> str:
    """Return SHA-256 over the pages and what was said of them."""
    total = hashlib.sha256()
    for one in judged:
        said = (one.key, one.page.charset, one.groups, one.text, one.wanted, one.unwanted)
        total.update(json.dumps(said).encode() + hashlib.sha256(one.page.body).digest())
    return total.hexdigest()


def token_f1(found: str, truth: str) -> float:
    """Return the F1 of the bags of lower-cased words; 1 when both are empty."""
    ours, theirs = (Counter(_WORD.findall(text.lower())) for text in (found, truth))
    if not ours and not theirs:
        return 1.0
    shared = (ours & theirs).total()
    return 2 * shared / (ours.total() + theirs.total())


def ours(page: Page, extractor: str) -> str:
    return extraction.extract_page(page.body, page.charset, page.mime_type, extractor)[0]


def by_itself(page: Page, extractor: str) -> str:
    if extractor == "trafilatura":
        from trafilatura import extract

        with extraction._quiet("trafilatura"):
            return extract(page.body, include_comments=False) or ""
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    html = bytes_to_str(page.body, detect_encoding(page.body) or "utf-8")
    return str(extract_plain_text(html, main_content=True))


def judge(one: Judged, side: str, extractor: str) -> Judgement:
    text = (ours if side == "ours" else by_itself)(one.page, extractor)
    flat = _flat(text)
    truth = one.text
    if "CleanEval" in one.groups:
        text, truth = text.translate(_LOST), truth.translate(_LOST)
    return Judgement(
        token_f1(text, truth),
        sum(phrase in flat for phrase in one.wanted),
        sum(phrase in flat for phrase in one.unwanted),
    )


def figures(judged: Sequence[Judged], judgements: Sequence[Judgement]) -> dict[str, float]:
    """Return mean F1 by group, and of the phrases the share that is where it should be."""
    means: dict[str, list[float]] = defaultdict(list)
    for one, found in zip(judged, judgements, strict=True):
        for group in one.groups:
            means[group].append(found.f1)
    shown = {group: statistics.fmean(means[group]) for group in sorted(means)}
    wanted = sum(len(one.wanted) for one in judged)
    unwanted = sum(len(one.unwanted) for one in judged)
    shown["phrases wanted and there"] = sum(f.wanted_found for f in judgements) / wanted
    shown["phrases unwanted and absent"] = 1 - sum(f.unwanted_found for f in judgements) / unwanted
    return shown


def lowered(floors: Figures, measured: Figures) -> list[str]:
    """Return which floors the measured figures would lower, one line each."""
    return [
        f"{extent}, {extractor}, {group}: {floor:.4f} to {now:.4f}"
        for extent, part in floors.items()
        for extractor in EXTRACTORS
        for group, floor in part[extractor].items()
        if (now := measured[extent][extractor].get(group, 0.0)) < floor
    ]


def update(path: Path, pinned: Figures, *, allow_regression: bool) -> None:
    """Write the floors, unless one would be lower than it is or be of another set.

    Raises:
        SystemExit: One would, and that was not allowed.
    """
    floors = json.loads(path.read_text()) if path.exists() else {}
    moved = [extent for extent in floors if floors[extent]["digest"] != pinned[extent]["digest"]]
    if (moved or lowered(floors, pinned)) and not allow_regression:
        sys.exit(f"{path} was left as it is: --allow-regression lowers floors or changes their set")
    path.write_text(json.dumps(pinned, indent=2) + "\n")


def _measure(
    judged: list[Judged], jobs: int
) -> tuple[Figures, dict[tuple[str, str], dict[str, float]]]:
    """Return the figures to pin, of all pages and of the sample, and those to print."""
    chosen = {one.key for one in sample(judged)}
    at = [number for number, one in enumerate(judged) if one.key in chosen]
    subset = [judged[n] for n in at]
    pinned: Figures = {"all": {"digest": digest(judged)}, "sample": {"digest": digest(subset)}}
    shown: dict[tuple[str, str], dict[str, float]] = {}
    with ProcessPoolExecutor(jobs) as pool:
        for extractor in EXTRACTORS:
            for side in ("ours", "by itself"):
                count = len(judged)
                work = pool.map(judge, judged, [side] * count, [extractor] * count, chunksize=16)
                found = list(work)
                shown[side, extractor] = figures(judged, found)
                if side == "ours":
                    part = figures(subset, [found[n] for n in at])
                    for extent, values in (("all", shown[side, extractor]), ("sample", part)):
                        # Rounded down: a floor that its own figure does not meet is none.
                        floor = {group: int(value * 1e4) / 1e4 for group, value in values.items()}
                        pinned[extent][extractor] = floor
    return pinned, shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--update", action="store_true", help=f"write {FLOORS.relative_to(ROOT)}")
    parser.add_argument("--allow-regression", action="store_true")
    given = parser.parse_args()
    default = Path(os.environ.get("CORPUS_TEST_DATA", ROOT / ".." / "shared" / "data"))
    judged = load(given.folder or default)
    pinned, shown = _measure(judged, given.jobs)
    count = Counter(group for one in judged for group in one.groups)
    count["phrases wanted and there"] = sum(len(one.wanted) for one in judged)
    count["phrases unwanted and absent"] = sum(len(one.unwanted) for one in judged)
    print(f"{'':<28}{'number':>7}" + "".join(f"{e:>13}{'by itself':>11}" for e in EXTRACTORS))
    for group in shown["ours", "trafilatura"]:
        cells = "".join(
            f"{shown['ours', e][group]:>13.4f}{shown['by itself', e][group]:>11.4f}"
            for e in EXTRACTORS
        )
        print(f"{group:<28}{count[group]:>7}{cells}")
    floors = json.loads(FLOORS.read_text()) if FLOORS.exists() else {}
    worse = lowered(floors, pinned)
    changed = [e for e in floors if floors[e]["digest"] != pinned[e]["digest"]]
    if changed:
        print(f"the evaluation set is another than the floors are of: {', '.join(changed)}")
    print("\n".join(["lower than the floors:", *worse]) if worse else "no floor is missed")
    if given.update:
        update(FLOORS, pinned, allow_regression=given.allow_regression)


if __name__ == "__main__":
    main()
