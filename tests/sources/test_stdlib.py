"""The tiny sources: the same bytes every time, readable, and with everything planted in them."""

from __future__ import annotations

import bz2
import hashlib
import html
import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from lxml import etree
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker

from corpus.config import Recipe, load_recipe
from corpus.errors import RecipeError
from corpus.sources import stdlib
from corpus.sources.stdlib_archive import FILES, Answer
from corpus.sources.stdlib_articles import parse_blocks, read_library
from corpus.sources.stdlib_crawl import CHAIN, OVERQUOTED, OVERQUOTES, SHARES, plan_answers
from corpus.sources.stdlib_foreign import SENTENCES, paragraphs
from corpus.sources.stdlib_pages import disguised, reworded
from corpus.text.normalization import words

ROOT = Path(__file__).resolve().parents[2]
QUIZ = ROOT / "pipelines/tiny/benchmarks/quiz.jsonl"
QUOTE = [json.loads(line)["text"] for line in QUIZ.read_text().splitlines()]
PAGES = 800
MEDIAWIKI = "{http://www.mediawiki.org/xml/export-0.11/}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for kind in stdlib.KINDS:
        stdlib.write(kind, folder / kind, seed=3, pages=PAGES, quote=QUOTE)
    return folder


@pytest.fixture(scope="module")
def answers() -> list[Answer]:
    return plan_answers(read_library(), seed=3, pages=PAGES, quote=QUOTE)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def shingles(text: str) -> set[tuple[str, ...]]:
    found = words(text, kind="word")
    return {tuple(found[start : start + 5]) for start in range(len(found) - 4)}


def jaccard(left: str, right: str) -> float:
    a, b = shingles(left), shingles(right)
    return len(a & b) / len(a | b)


def test_write_in_another_process_makes_same_bytes(made: Path, tmp_path: Path) -> None:
    """Neither the order of sets nor the clock may show: the other process hashes differently."""
    program = (
        "import json, pathlib, sys\n"
        "from corpus.sources import stdlib\n"
        "folder, quote = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])\n"
        "for kind in stdlib.KINDS:\n"
        f"    stdlib.write(kind, folder / kind, seed=3, pages={PAGES}, quote=quote)\n"
    )
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), json.dumps(QUOTE)],
        check=True,
        cwd=ROOT,
        env={"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    assert time.perf_counter() - started < 60  # about 4 s when nothing else runs
    assert digests(tmp_path) == digests(made)
    assert len(digests(made)) == FILES + 1 + 1 + 6


def test_write_with_another_seed_makes_another_crawl_and_equal_curated_sources(
    made: Path, tmp_path: Path
) -> None:
    for kind in stdlib.KINDS:
        stdlib.write(kind, tmp_path / kind, seed=4, pages=PAGES, quote=QUOTE)
    before, after = digests(made), digests(tmp_path)
    assert before.keys() == after.keys()
    same = {path for path in before if before[path] == after[path]}
    assert same == {path for path in before if not path.startswith("crawl/")}


def test_write_of_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="crawl, wikipedia, webtext, books"):
        stdlib.write("news", tmp_path, seed=1, pages=100, quote=())


def test_write_with_too_few_pages_for_quotes_says_how_many_do(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        stdlib.write("crawl", tmp_path, seed=1, pages=50, quote=QUOTE)
    enough = int(str(caught.value.fix).rsplit(" ", 2)[1])
    stdlib.write("crawl", tmp_path, seed=1, pages=enough, quote=QUOTE)
    assert len(list(tmp_path.iterdir())) == FILES


@pytest.mark.parametrize("pages", [12, 97, 5000])
def test_plan_answers_gives_as_many_as_asked_for_at_addresses_of_their_own(pages: int) -> None:
    """More pages than there are articles are near-copies, and not fewer pages."""
    found = plan_answers(read_library(), seed=1, pages=pages, quote=())
    assert len(found) == pages
    assert len({answer.url for answer in found}) == pages
    assert {answer.kind for answer in found} == {*SHARES, "article"}


def test_crawl_records_are_whole_and_their_digests_right(made: Path, answers: list[Answer]) -> None:
    found = []
    kinds: Counter[str] = Counter()
    ids = set()
    for path in sorted((made / "crawl").iterdir()):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, check_digests="raise"):
                kinds[record.rec_type] += 1
                ids.add(record.rec_headers.get_header("WARC-Record-ID"))
                body = record.content_stream().read()
                if record.rec_type == "response":
                    assert record.rec_headers.get_header("WARC-Payload-Digest")
                    assert record.http_headers.get_header("Content-Length") == str(len(body))
                    uri = record.rec_headers.get_header("WARC-Target-URI")
                    found.append((uri, int(record.http_headers.get_statuscode()), body))
    assert found == [(answer.url, answer.status, answer.body) for answer in answers]
    good = sum(answer.status == 200 for answer in answers)
    assert kinds == {"warcinfo": FILES, "response": PAGES, "metadata": good}
    assert len(ids) == kinds.total()


def test_crawl_passes_the_check_of_warcio(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Arguments:
        verbose = True
        inputs = tuple(str(path) for path in sorted((made / "crawl").iterdir()))

    assert Checker(Arguments()).process_all() == 0
    assert capsys.readouterr().out.count("digest pass") >= PAGES


def test_crawl_has_each_kind_in_its_share(answers: list[Answer]) -> None:
    counts = Counter(answer.kind for answer in answers)
    for kind, share in SHARES.items():
        assert counts[kind] == round(share * PAGES)
    assert counts.total() == PAGES
    assert {answer.status for answer in answers if answer.kind == "http_error"} >= {301, 404, 500}
    bodies = [answer.body for answer in answers if answer.kind == "broken"]
    assert b"" in bodies
    assert any(body.startswith(b"\xff\xfe") for body in bodies)
    assert any(b"\xdc" in body for body in bodies)


def test_crawl_exact_copies_are_pages_of_the_crawl(answers: list[Answer]) -> None:
    bodies = {answer.body for answer in answers if answer.kind == "article"}
    copies = [answer for answer in answers if answer.kind == "exact_copy"]
    assert all(copy.body in bodies for copy in copies)


def test_crawl_quotes_each_text_word_for_word_and_disguised(answers: list[Answer]) -> None:
    pages = [html.unescape(a.body.decode("utf-8", "replace")) for a in answers]
    plain = [" ".join(words(page, kind="plain")) for page in pages]
    for text in QUOTE:
        bare = " ".join(words(text, kind="plain"))
        exact = sum(text in page for page in pages)
        disguises = sum(bare in page for page in plain) - exact
        assert 1 <= exact <= 1 + OVERQUOTED
        assert disguises == 1
        assert exact + disguises <= 10  # a gram in more documents would be ignored


def test_crawl_anthologies_quote_more_than_ten_texts_far_apart(answers: list[Answer]) -> None:
    pages = [html.unescape(a.body.decode("utf-8", "replace")) for a in answers]
    crowded = [page for page in pages if sum(text in page for text in QUOTE) > 10]
    assert len(crowded) == OVERQUOTED
    for page in crowded:
        places = sorted(page.index(text) for text in QUOTE if text in page)
        assert len(places) == OVERQUOTES
        # Two windows of 200 characters, a piece of 200 between them, and the quote.
        assert all(right - left > 900 for left, right in itertools.pairwise(places))


def test_crawl_without_quotes_has_no_anthology() -> None:
    found = plan_answers(read_library(), seed=3, pages=PAGES, quote=())
    assert not [answer.url for answer in found if "anthology" in answer.url]


def test_wikipedia_dump_parses_with_every_sort_of_page(made: Path) -> None:
    (path,) = (made / "wikipedia").iterdir()
    root = etree.fromstring(bz2.decompress(path.read_bytes()))
    pages = root.findall(f"{MEDIAWIKI}page")
    assert len({page.findtext(f"{MEDIAWIKI}title") for page in pages}) == len(pages)
    spaces = Counter(page.findtext(f"{MEDIAWIKI}ns") for page in pages)
    assert spaces["1"] == 3
    assert spaces["10"] == 1
    redirects = [page for page in pages if page.find(f"{MEDIAWIKI}redirect") is not None]
    assert len(redirects) == 10
    articles = read_library().wikipedia
    assert spaces["0"] == len(articles) + len(redirects) + 1
    for page in pages:
        text = page.find(f"{MEDIAWIKI}revision/{MEDIAWIKI}text")
        assert int(text.get("bytes")) == len(text.text.encode())


def test_webtext_and_books_hold_the_whole_library(made: Path) -> None:
    library = read_library()
    rows = [json.loads(row) for row in (made / "webtext/webtext.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == [article.text for article in library.webtext]
    assert len({row["id"] for row in rows}) == len({row["url"] for row in rows}) == len(rows)
    assert {path.stem for path in (made / "books").iterdir()} == {p for p, _ in library.books}
    for package, chapters in library.books:
        text = (made / "books" / f"{package}.txt").read_text()
        assert text.count("\n\nChapter ") >= len(chapters)
        assert len(text.split()) > 4000


def test_library_divides_the_articles_among_the_sources() -> None:
    library = read_library()
    chapters = [chapter for _, book in library.books for chapter in book]
    every = [*library.crawl, *library.webtext, *library.wikipedia, *chapters]
    assert len({article.name for article in every}) == len(every)
    assert len(library.crawl) > 300
    assert len(library.webtext) > 80
    assert len(library.wikipedia) > 40
    curated = [shingles(a.text) for a in (*library.webtext, *library.wikipedia)]
    overlapping = 0
    for article in library.crawl[::5]:
        own = shingles(article.text)
        overlapping += any(len(own & other) > 0.8 * len(own | other) for other in curated)
    assert overlapping <= 2  # modules repeat one another here and there


def test_reworded_chain_is_alike_from_step_to_step_and_not_from_end_to_end() -> None:
    random = Random(1)
    first = next(article for article in read_library().webtext if article.words > 250)
    versions = [first]
    for _ in range(CHAIN):
        versions.append(reworded(versions[-1], random, share=0.012))
    texts = [version.text for version in versions]
    steps = [jaccard(left, right) for left, right in itertools.pairwise(texts)]
    assert min(steps) > 0.8
    assert jaccard(texts[0], texts[-1]) < 0.7


@pytest.mark.parametrize("text", QUOTE[:5])
def test_disguised_text_has_equal_words_and_another_look(text: str) -> None:
    changed = disguised(text, Random(2))
    assert changed != text
    assert words(changed, kind="plain") == words(text, kind="plain")


@pytest.mark.parametrize("language", sorted(SENTENCES))
def test_foreign_paragraphs_hold_every_sentence_once(language: str) -> None:
    text = "".join(paragraphs(language, Random(5)))
    for sentence in SENTENCES[language]:
        fixed = max(sentence.replace("{number}", "{place}").split("{place}"), key=len)
        assert text.count(fixed) == 1
    assert "{" not in text


def test_parse_blocks_tells_headings_lists_code_and_prose_apart() -> None:
    blocks = parse_blocks(
        "Title\n=====\n\nSome prose\nthat goes on.\n\n- one\n  more\n- two\n\n"
        "    if ready:\n        start()\n\n>>> 1 + 1\n2\n\n\x00\ud800Tail"
    )
    assert [(block.kind, block.text) for block in blocks] == [
        ("heading", "Title"),
        ("paragraph", "Some prose that goes on."),
        ("list", "one more\ntwo"),
        ("code", "if ready:\n    start()"),
        ("code", ">>> 1 + 1\n2"),
        ("paragraph", "Tail"),
    ]


def test_repository_holds_no_text_of_the_standard_library() -> None:
    """Only what is written here may be in the package: no eight words in a row of an article."""
    library = read_library()
    every = [*library.crawl, *library.webtext, *library.wikipedia]
    theirs = set()
    for article in every:
        found = words(article.text, kind="word")
        theirs.update(tuple(found[n : n + 8]) for n in range(len(found) - 7))
    paths = [*(ROOT / "corpus/sources").glob("stdlib*.py"), *(ROOT / "pipelines").rglob("*.*")]
    assert len(paths) >= 13
    for path in paths:
        own = words(path.read_text(), kind="word")
        shared = [own[n : n + 8] for n in range(len(own) - 7) if tuple(own[n : n + 8]) in theirs]
        assert not shared, path


@pytest.mark.parametrize("name", ["tiny", "common-crawl", "gpt3"])
def test_recipe_of_the_repository_loads(name: str) -> None:
    recipe = load_recipe(str(ROOT / "pipelines" / name / "mix.yaml"))
    assert isinstance(recipe, Recipe)
    assert recipe.name == name
    if name == "gpt3":
        crawl = recipe.sources["common_crawl"].commoncrawl
        assert crawl is not None
        assert len(set(crawl.snapshots)) == 41


def test_quiz_items_are_long_enough_for_thirteen_grams() -> None:
    rows = [json.loads(line) for line in QUIZ.read_text().splitlines()]
    assert len(rows) == 30
    assert all(len(words(row["text"], kind="plain")) >= 25 for row in rows)
