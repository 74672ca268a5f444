"""Wikipedia dumps to prose: what is left of the mark-up, agreement with others, and speed.

`python benchmarks/wikipedia.py [FOLDER] --peers PYTHON` reads the dumps in FOLDER (without it,
`$CORPUS_TEST_DATA/wikipedia`) and prints

* articles, redirects and other drops of each dump;
* the share of documents that have `{{`, `}}`, `[[`, `]]`, `<ref`, a line that begins with `|`, or
  any `|` at all in their text;
* of the words of the text that another extraction has, how many are here (recall) and how many of
  ours are there (precision), in the median of the articles, against both peers;
* CPU seconds a dump in turns, with mwparserfromhell's `strip_code` and gensim's `WikiCorpus` (one
  process) in the interpreter PYTHON that has both: `pip install mwparserfromhell gensim`. gensim
  makes lower-case word lists without numbers and headings; mwparserfromhell is given articles only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from corpus.document import Document, Drop
from corpus.sources import wikipedia

ROOT = Path(__file__).resolve().parent.parent
MARKS = ("{{", "}}", "[[", "]]", "<ref", "|")
WORD = re.compile(r"[^\W\d_]+")

PEERS = """
import bz2, json, sys, time, warnings
warnings.filterwarnings("ignore")
which, path, output = sys.argv[1:]
import xml.etree.ElementTree as tree
if which == "mwparserfromhell":
    import mwparserfromhell
else:
    import gensim.corpora.wikicorpus as wiki
begin = time.process_time()
texts = {}
if which == "mwparserfromhell":
    with bz2.open(path) as file:
        title = number = text = None
        for _, element in tree.iterparse(file):
            tag = element.tag.rpartition("}")[2]
            if tag == "title": title, number = element.text, None
            elif tag == "id" and number is None: number = element.text
            elif tag == "text": text = element.text or ""
            elif tag == "page":
                skip = element.find("{*}redirect") is not None or text[:9].lower() == "#redirect"
                if not skip and element.findtext("{*}ns", "0") == "0":
                    texts[number] = mwparserfromhell.parse(text).strip_code()
                element.clear()
else:
    with bz2.open(path) as file:
        for title, text, number in wiki.extract_pages(file, ("0",)):
            if text[:9].lower() != "#redirect":
                texts[number] = " ".join(
                    wiki.tokenize(wiki.filter_wiki(text), token_min_len=1, token_max_len=1000)
                )
seconds = time.process_time() - begin
json.dump({"seconds": seconds, "texts": texts}, open(output, "w"))
"""


def words(text: str) -> Counter[str]:
    return Counter(WORD.findall(text.lower()))


def ours(path: Path) -> tuple[float, list[Document | Drop]]:
    begin = time.process_time()
    rows = list(wikipedia.read(str(path), name=path.name, max_document_bytes=2**29))
    return time.process_time() - begin, rows


def peer(python: str, which: str, path: Path) -> tuple[float, dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.json"
        subprocess.run([python, "-c", PEERS, which, str(path), str(output)], check=True)
        found = json.loads(output.read_text())
    return found["seconds"], found["texts"]


def agreement(documents: list[Document], theirs: dict[str, str]) -> tuple[float, float, int]:
    recalls, precisions = [], []
    for document in documents:
        text = theirs.get(str(document.place.page))
        if text:
            mine, other = words(document.text), words(text)
            both = sum((mine & other).values())
            recalls.append(both / max(1, sum(other.values())))
            precisions.append(both / max(1, sum(mine.values())))
    return statistics.median(recalls), statistics.median(precisions), len(recalls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    data = Path(os.environ.get("CORPUS_TEST_DATA", ROOT / ".." / "shared" / "data"))
    folder = (given.folder or data / "wikipedia").resolve()
    if not list(folder.glob("*.bz2")):
        raise SystemExit(f"there is no dump in {folder}")
    everything: list[Document] = []
    for path in sorted(folder.glob("*.bz2")):
        _, rows = ours(path)
        documents = [row for row in rows if isinstance(row, Document)]
        everything += documents
        drops = Counter(str(row.reason) for row in rows if isinstance(row, Drop))
        print(f"{path.name}: {len(documents)} documents, {dict(drops)}")
        if not given.peers or not documents:
            continue
        seconds: dict[str, list[float]] = {"ours": [], "mwparserfromhell": [], "gensim": []}
        for _ in range(given.rounds):
            seconds["ours"].append(ours(path)[0])
            for which in ("mwparserfromhell", "gensim"):
                spent, texts = peer(given.peers, which, path)
                seconds[which].append(spent)
                if len(seconds[which]) == 1:
                    recall, precision, both = agreement(documents, texts)
                    print(
                        f"  {which}: {recall:.1%} of its words are in ours, {precision:.1%} of "
                        f"ours in its (median of {both} articles)"
                    )
        for which in ("mwparserfromhell", "gensim"):
            pairs = zip(seconds[which], seconds["ours"], strict=True)
            ratio = statistics.median(theirs / mine for theirs, mine in pairs)
            print(f"  {which}: {ratio:.2f} times our CPU seconds", seconds[which], seconds["ours"])
    for mark in MARKS:
        found = [document.title for document in everything if mark in document.text]
        print(f"{mark!r}: in {len(found)} of {len(everything)} documents {found[:5]}")


if __name__ == "__main__":
    main()
