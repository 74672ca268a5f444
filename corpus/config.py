"""The recipe: `mix.yaml` as frozen models. Every default is here and nowhere else.

What defines the corpus has no default: the seed, the sources, their weights, the tokens of the run.
The docstring below each field is its entry in the reference page `docs/mix.md`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from corpus import benchmark_presets, storage
from corpus.heuristic_settings import Heuristics, NamedHeuristics
from corpus.recipe_path import ONE_OR_MORE as _ONE_OR_MORE
from corpus.recipe_path import Paths, RecipePath
from corpus.recipe_path import resolve as _resolve
from corpus.settings import Settings, load_settings

Share = Annotated[float, Field(ge=0, le=1)]


class Pages(Settings):
    """Single pages of a crawl, found through its index.

    Of the pages of `urls`, `hosts` and `domains` together, those that `languages` and `mime` name.
    """

    urls: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """Addresses; the index takes http and https, with and without `www.`, for one."""
    hosts: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """Hosts, such as `www.example.org`, without those below them."""
    domains: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """Domains, such as `example.org`, with all hosts below them."""
    languages: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """Main languages of a page as the index has them: ISO 639-3, such as `eng`."""
    mime: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """Types that the crawler detected, such as `text/html`."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Pages of each snapshot: a seeded sample that larger numbers add to; all by default."""
    index: Literal["columnar", "cdxj", "server"] = "columnar"
    """Where to look: a table; lines that are sorted by address; or a server that has these."""
    server: Annotated[str, Field(pattern=r"^https?://")] = "https://index.commoncrawl.org/"
    """The query server of `index: server`, which is for a few addresses and asks to be spared."""

    @model_validator(mode="after")
    def _chosen(self) -> Pages:
        addressed = bool(self.urls or self.hosts or self.domains)
        if not (addressed or self.languages or self.mime):
            raise ValueError("names no pages: give urls, hosts, domains, languages or mime")
        if self.index != "columnar" and not addressed:
            raise ValueError(
                f"`index: {self.index}` needs urls, hosts or domains: use `index: columnar`"
            )
        return self


Snapshot = Annotated[str, Field(pattern=r"^CC-MAIN-20\d\d-(0[1-9]|[1-4]\d|5[0-3])$")]


class CommonCrawl(Settings):
    """Files of Common Crawl, or pages out of them."""

    snapshots: Annotated[tuple[Snapshot, ...], _ONE_OR_MORE] = ()
    """Snapshot ids, such as `CC-MAIN-2026-47`."""
    kind: Literal["warc", "wet"] = "warc"
    """`warc`: pages as they were served; `wet`: the plain text that Common Crawl made of them."""
    files: Annotated[int, Field(ge=1)] | None = None
    """Files of each snapshot, a seeded sample that larger numbers add to; all by default."""
    paths: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """Paths relative to `base_url`, as in a snapshot's list, instead of `snapshots`."""
    pages: Pages | None = None
    """Only these pages, fetched by range; `files` then says of which files."""
    base_url: RecipePath = "https://data.commoncrawl.org/"
    """Where the crawl is: the public address, `s3://commoncrawl/`, a mirror, or a local folder."""
    limit_bytes: Annotated[int, Field(ge=100_000)] | None = None
    """Take only the whole records in the first so many bytes of each file."""
    limit_records: Annotated[int, Field(ge=1)] | None = None
    """Take only so many pages from the beginning of each file."""

    @model_validator(mode="after")
    def _consistent(self) -> CommonCrawl:
        if bool(self.snapshots) == bool(self.paths):
            raise ValueError("give either snapshots or paths")
        if self.paths and (self.files is not None or self.pages is not None):
            raise ValueError("files and pages choose from snapshots: leave them out beside paths")
        if self.pages is not None:
            if self.kind == "wet":
                raise ValueError("the index leads to WARC files: leave `kind: wet` out")
            if self.limit_bytes is not None or self.limit_records is not None:
                raise ValueError("pages has a limit of its own: leave limit_bytes and _records out")
        return self


class LinkedPages(Settings):
    """Where in Common Crawl the pages that submissions link to are looked for."""

    snapshots: Annotated[tuple[Snapshot, ...], _ONE_OR_MORE, Field(min_length=1)]
    """Snapshot ids; a page is taken from the first of them that has it."""
    base_url: RecipePath = "https://data.commoncrawl.org/"
    """Where the crawl is: the public address, `s3://commoncrawl/`, a mirror, or a local folder."""
    index: Literal["columnar", "cdxj"] = "columnar"
    """Which index to look in; for a few thousand links `cdxj` reads far less."""


class WebText(Settings):
    """Pages that Reddit submissions with enough karma link to (GPT-2, section 2.1)."""

    submissions: Paths
    """Submissions dumps: newline-delimited JSON, plain, `.gz` or `.zst`."""
    pages: Paths | None = None
    """WARC files in which the linked pages are looked for."""
    commoncrawl: LinkedPages | None = None
    """A crawl in whose index they are looked for, instead of `pages`; they are fetched by range."""
    min_karma: int = 3
    """Least karma, summed over all submissions of a page (GPT-2 and GPT-3: 3)."""
    blocked_domains: tuple[str, ...] = ()
    """Domains whose pages are left out, with their sub-domains."""

    @model_validator(mode="after")
    def _one_place(self) -> WebText:
        if (self.pages is None) == (self.commoncrawl is None):
            raise ValueError("give either pages (WARC files) or commoncrawl")
        return self


class Documents(Settings):
    """Ready-made documents: JSONL, Parquet, plain text, or tar of these; plain or compressed."""

    paths: Paths
    """Files or patterns."""
    fields: dict[Literal["text", "id", "url", "date", "title"], str] = Field(default_factory=dict)
    """Which field of the file is which of ours, where names differ: `{text: data.content}`."""


class Stdlib(Settings):
    """A miniature source made at run time from text that every Python installation carries."""

    make: Literal["crawl", "wikipedia", "webtext", "books"]
    """What to make: WARC files, a Wikipedia dump, WebText-like documents, or books."""
    pages: Annotated[int, Field(ge=12, le=100_000)] = 800
    """Pages of the crawl."""
    quote: RecipePath | None = None
    """A JSONL benchmark (`text`) that some pages of the crawl quote, so that there is a cut."""


def _as_paths(value: Any) -> Any:
    return {"paths": value} if isinstance(value, str | list | tuple) else value


KINDS = ("commoncrawl", "warc", "wikipedia", "webtext", "books", "documents", "stdlib")


class Source(Settings):
    """One source. It names exactly one kind; its place in the recipe is its priority in dedup."""

    weight: Annotated[float, Field(gt=0)] | None = None
    """Share of the training sequences, normalised; a source without one is built but not mixed."""
    filter: bool = False
    """Whether `filter` may drop documents of this source; other sources are only scored."""
    commoncrawl: CommonCrawl | None = None
    """Common Crawl, downloaded."""
    warc: Paths | None = None
    """WARC, ARC or WET files, local or remote."""
    wikipedia: Paths | None = None
    """Wikipedia dumps (`*-pages-articles*.xml.bz2`), or the Parquet of wikimedia/wikipedia."""
    webtext: WebText | None = None
    """Pages that Reddit submissions link to."""
    books: Paths | None = None
    """Books: plain text (Project Gutenberg or other) or EPUB."""
    documents: (
        Annotated[
            Documents,
            BeforeValidator(_as_paths, json_schema_input_type=str | tuple[str, ...] | Documents),
        ]
        | None
    ) = None
    """JSONL, Parquet, text or tar files: a path, a list of paths, or `{paths, fields}`."""
    stdlib: Stdlib | None = None
    """Made from the Python installation itself, for trying things out without a network."""

    @model_validator(mode="after")
    def _one_kind(self) -> Source:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            listed = ", ".join(given) if given else "none"
            raise ValueError(f"a source names exactly one of {', '.join(KINDS)}; here: {listed}")
        return self

    @property
    def kind(self) -> str:
        """The one kind that the source names."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)


class Crawl(Settings):
    """How politely and how stubbornly files are fetched."""

    requests_per_second: Annotated[float, Field(gt=0)] = 2.0
    """Most requests a second, for all workers of the build together, on all machines."""
    user_agent: str = "corpusmill (corpus toolkit; set crawl.user_agent to say who you are)"
    """Who asks, for the server's log."""
    timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds without a byte before a connection counts as stalled."""
    attempts: Annotated[int, Field(ge=1)] = 12
    """Tries of a file in a row that may bring nothing before it is given up."""
    patience: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that a server is tried for which has not answered at all since the run began."""
    backoff: Annotated[float, Field(gt=0)] = 1.0
    """Seconds: the n-th try in a row is made after a random pause of up to 2^n times as many."""
    cooldown: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that nothing is asked for after a 403 (too many requests); doubled if one follows."""
    cooldowns: Annotated[int, Field(ge=0)] = 5
    """403 answers in a row that are waited out; one more ends the run."""
    longest_pause: Annotated[float, Field(gt=0)] = 900.0
    """Seconds that any pause lasts at most, a server's `Retry-After` too."""


class Prefilter(Settings):
    """A cheap look at each page: what `filter` would drop anyway is spared the extraction.

    Languages, addresses and the least number of words are those of `filter`.
    """

    quality: bool = False
    """Whether pages that would lose the draw are spared; `filter.classifier` is then a folder."""
    margin: Annotated[float, Field(ge=1)] = 10.0
    """How many times the odds of a page's cheap score its own may have, and it is spared still."""
    alpha: Annotated[float, Field(gt=0)] | None = None
    """Pareto exponent of the look: the least that `filter.alpha` may then become; it by default."""
    audit: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Share of the spared pages that is extracted all the same, to say how many are lost."""


class Extract(Settings):
    """How raw pages become text."""

    extractor: Literal["trafilatura", "resiliparse", "none"] = "trafilatura"
    """`trafilatura` reads best, `resiliparse` is 15 times as fast, `none` takes all that shows."""
    timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds for one page before its worker is killed and the page dropped."""
    memory_bytes: Annotated[int, Field(ge=256 * 2**20)] = 2 * 2**30
    """Memory of the process that extracts, in bytes; a page that needs more is dropped."""
    recycle_pages: Annotated[int, Field(ge=1)] = 2000
    """Pages after which that process is replaced, because lxml's memory grows."""
    max_page_bytes: Annotated[int, Field(ge=1000)] = 10 * 2**20
    """Larger pages are dropped."""
    verify_digests: bool = False
    """Whether a page whose record has another digest than it says is dropped as damaged."""
    max_document_bytes: Annotated[int, Field(ge=1000)] = 2**29
    """Larger ready-made documents (a line of JSONL, a dump's page, a book) are dropped."""
    max_failures: Share = 0.5
    """Largest share of a source's pages that may fail: damage, crash, timeout; more is an error."""
    prefilter: Prefilter | None = None
    """A cheap look at the pages of filtered sources before they are extracted; none by default."""


class ClassifierTraining(Settings):
    """A quality classifier trained in the build, as GPT-3's was (Appendix A)."""

    positives: Annotated[tuple[str, ...], Field(min_length=1)]
    """Sources that stand for high quality."""
    negatives: Annotated[tuple[str, ...], Field(min_length=1)]
    """Unfiltered sources."""
    features: Annotated[int, Field(ge=2**8, le=2**24)] = 2**18
    """Number of hashed features (Spark's HashingTF: 2^18)."""
    ngrams: Literal[1, 2] = 1
    """Words alone, or words and pairs of words."""
    norm: Literal["l2", "none"] = "l2"
    """Whether counts are scaled to length 1; without it scores grow with the length of a page."""
    inverse_regularisation: Annotated[float, Field(gt=0)] = 1.0
    """Inverse strength of the L2 penalty: scikit-learn's C."""
    truncate_characters: Annotated[int, Field(ge=100)] = 20_000
    """Only so many characters of each document are trained on."""
    pieces: Annotated[int, Field(ge=1, le=1000)] = 1
    """Most pieces of that many characters of a document, spread over it; 1: only its beginning."""
    balance: Literal["classes", "sources"] = "classes"
    """What counts the same whatever its size: each class, or within a class each source too."""
    documents: Annotated[int, Field(ge=20)] = 100_000
    """Most documents of each class, by a seeded sample; some 5 kB of memory each."""
    held_out: Annotated[float, Field(gt=0, lt=0.9)] = 0.2
    """Share of the sample that is kept for the evaluation: whole sites, or documents by text."""
    learning_curve: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """Shares of the training documents that smaller models are fitted to, for the curve."""


class FastTextClassifier(Settings):
    """A fastText model, such as DCLM's, in place of the regression."""

    fasttext: RecipePath
    """Its file: `.bin`, or `.ftz` when it is quantised."""
    label: Annotated[str, Field(min_length=1)]
    """The label whose probability is the score, such as `__label__hq`."""


def _classifier_kind(value: Any) -> str:
    if isinstance(value, str):
        return "<path>"
    named = isinstance(value, FastTextClassifier) or "fasttext" in (
        value if isinstance(value, dict) else {}
    )
    return "<fasttext>" if named else "<training>"


class Filter(Settings):
    """Which pages of the filtered sources are kept (GPT-3, Appendix A)."""

    classifier: (
        Annotated[
            Annotated[RecipePath, Tag("<path>")]
            | Annotated[ClassifierTraining, Tag("<training>")]
            | Annotated[FastTextClassifier, Tag("<fasttext>")],
            Discriminator(_classifier_kind),
        ]
        | None
    ) = None
    """A trained classifier's folder, `{positives, negatives}` to train one, `{fasttext, label}`."""
    alpha: Annotated[float, Field(gt=0)] | Literal["fit"] = 9.0
    """A page is kept with probability (2 - score)^-alpha; `fit` matches the positives' scores."""
    heuristics: NamedHeuristics = Heuristics()
    """Rule sets to pass: `[gopher, c4]`, or with thresholds `{gopher: {minimum_words: 30}}`."""
    languages: dict[str, Share] = Field(default_factory=dict)
    """Languages to keep, each with the least share of the text that has to be in it."""
    urls: Paths | None = None
    """Lists of domains and URL prefixes to drop: files, one a line, or folders as those of UT1."""

    @model_validator(mode="after")
    def _fasttext_needs_label(self) -> Filter:
        if isinstance(self.classifier, str) and self.classifier.endswith((".bin", ".ftz")):
            raise ValueError(
                "of a fastText model the recipe has to say which label is the good one: "
                "`classifier: {fasttext: model.bin, label: __label__hq}`"
            )
        return self

    @model_validator(mode="after")
    def _fit_needs_a_classifier(self) -> Filter:
        if self.alpha == "fit" and self.classifier is None:
            raise ValueError("alpha: fit needs a classifier, whose positives it is fitted to")
        if self.alpha == "fit" and isinstance(self.classifier, FastTextClassifier):
            raise ValueError("alpha: fit needs scores of positives: a fastText model brings none")
        return self


class DedupScheme(Settings):
    """What a near-duplicate is, with every value given."""

    threshold: float
    words: Literal["word", "whitespace"]
    shingle: int
    bands: int
    rows: int
    scope: Literal["all", "within", "curated"] = "all"


DEDUP_PRESETS = {
    # Ours: 18 bands of 7 find 98.5 % of the pairs at 0.8, 99.9 % at 0.85. What they propose beyond
    # that costs little, since every candidate is verified.
    "thorough": DedupScheme(threshold=0.8, words="word", shingle=5, bands=18, rows=7),
    # Appendix A: Spark's MinHashLSH with 10 hashes (tables of one hash each) over the classifier's
    # features, which are words. The threshold is not published; the paper's 10 % removed is.
    "gpt3": DedupScheme(threshold=0.8, words="whitespace", shingle=1, bands=10, rows=1),
    # FineWeb: 112 hashes in 14 bands of 8, which finds 77 % of the pairs at 0.75 and 92 % at 0.8.
    "fineweb": DedupScheme(threshold=0.75, words="word", shingle=5, bands=14, rows=8),
    # Only what is all but the same: 20 bands of 10 find 99.98 % of the pairs at 0.9.
    "strict": DedupScheme(threshold=0.9, words="word", shingle=5, bands=20, rows=10),
}


class LineDedup(Settings):
    """Which lines are cut because another document has them, too (CCNet, section 3.1)."""

    unit: Literal["line", "paragraph"] = "line"
    """What is compared: a line, which CCNet calls a paragraph, or lines up to one that is blank."""
    normalization: Literal["ccnet", "exact"] = "ccnet"
    """By what: `ccnet` lets case, digits, punctuation and accents not count; `exact` all but white
    space."""
    scope: Literal["all", "within"] = "all"
    """Whose lines are compared: those of all documents, or those of one source."""
    sources: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """The sources that lose lines; all by default. Those that do not are visited first."""
    minimum_words: Annotated[int, Field(ge=1)] = 1
    """Lines of fewer words are left where they are (CCNet: no such bound)."""
    minimum_documents: Annotated[int, Field(ge=1)] = 1
    """Lines that are in fewer documents are left where they are; with 1 also what a document
    repeats of itself is cut (CCNet)."""
    minimum_left: Annotated[int, Field(ge=0)] = 200
    """A document that is cut to fewer characters is dropped, unless another lost a line for it."""


class Dedup(Settings):
    """Which documents count as near-duplicates of one that is kept (GPT-3, Appendix A)."""

    preset: Literal["thorough", "gpt3", "fineweb", "strict"] = "thorough"
    """A set of values for threshold, words, shingle, bands and rows; see docs/stages/dedup.md."""
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    """Least Jaccard index of two documents' shingle sets, verified, at which one is dropped."""
    words: Literal["word", "whitespace"] | None = None
    """What a word is: a run of letters and digits, or whatever stands between white space."""
    shingle: Annotated[int, Field(ge=1, le=64)] | None = None
    """Words in a shingle."""
    bands: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Bands of the signature; documents that agreement in a band connects are compared."""
    rows: Annotated[int, Field(ge=1, le=100)] | None = None
    """MinHash values in a band."""
    permutations: Annotated[int, Field(ge=2, le=1024)] | None = None
    """Length of the signature, instead of bands and rows, which are then the optimum."""
    scope: Literal["all", "within", "curated"] = "all"
    """What is compared: all documents, those of one source, or filtered sources with the others."""
    index: Annotated[tuple[RecipePath, ...], _ONE_OR_MORE] = ()
    """Earlier builds, with their indexes: what duplicates a document kept there is dropped."""
    urls: bool = False
    """Of documents with the same URL, up to what changes nothing of a page, keep the best alone."""
    lines: LineDedup | None = None
    """Of lines that several documents have, keep the first alone; left out without this key."""
    max_loss: Share = 0.9
    """The largest share of its documents, or of its text by `lines`, that a source may lose before
    the build stops."""

    @model_validator(mode="after")
    def _one_shape(self) -> Dedup:
        if self.permutations is not None and (self.bands is not None or self.rows is not None):
            raise ValueError("give either permutations, or bands and rows")
        try:
            self.scheme()
        except ValueError as error:
            raise ValueError(
                f"{self.permutations} permutations are too few for this threshold: they would make "
                "a single band"
            ) from error
        return self

    def scheme(self) -> DedupScheme:
        """Return the preset with what the recipe sets beside it."""
        given = {key: getattr(self, key) for key in DedupScheme.model_fields}
        changes = {key: value for key, value in given.items() if value is not None}
        scheme = DEDUP_PRESETS[self.preset].model_copy(update=changes)
        if self.permutations is None:
            return scheme
        from corpus.banding import optimal_bands

        bands, rows = optimal_bands(scheme.threshold, self.permutations)
        return scheme.model_copy(update={"bands": bands, "rows": rows})


class Benchmark(Settings):
    """One benchmark, from its published files."""

    paths: Paths
    """JSONL, JSON, CSV, TSV, Parquet or plain text files, but for Parquet also compressed."""
    preset: str | None = None
    """The fields of a public benchmark's published files: `piqa`, `squad`, `mmlu`, …"""
    fields: tuple[str, ...] | None = None
    """Fields whose text counts, instead of a preset; all text by default. A field may be a path
    into maps and lists, such as `question.choices.text`."""
    id: str | None = None
    """Field with an example's identifier; its file and number in it by default."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Benchmark:
        if self.preset is not None and self.fields is not None:
            raise ValueError("name a preset or fields, not both")
        if self.preset is not None and self.preset not in benchmark_presets.PRESETS:
            near = difflib.get_close_matches(self.preset, benchmark_presets.PRESETS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else ""
            known = f"there are {', '.join(benchmark_presets.PRESETS)}"
            raise ValueError(f"no benchmark preset is called {self.preset!r}; {hint or known}")
        return self


FILE_NAMES = ""  # instead of a benchmark's name: each file is one, of its own name


def _as_benchmarks(value: Any) -> Any:
    return {FILE_NAMES: {"paths": value}} if isinstance(value, str | list | tuple) else value


class Decontaminate(Settings):
    """How benchmark text is cut out of the corpus (GPT-3, Appendix C)."""

    benchmarks: Annotated[
        dict[
            str,
            Annotated[
                Benchmark,
                BeforeValidator(
                    _as_paths, json_schema_input_type=str | tuple[str, ...] | Benchmark
                ),
            ],
        ],
        BeforeValidator(
            _as_benchmarks,
            json_schema_input_type=str
            | tuple[str, ...]
            | dict[str, str | tuple[str, ...] | Benchmark],
        ),
        Field(min_length=1),
    ]
    """A pattern (each file is a benchmark), or a map of names to patterns or to
    `{paths, preset, fields, id}`."""
    ngram: Annotated[int, Field(ge=2, le=64)] = 13
    """Words in a colliding gram (Appendix C: 13)."""
    words: Literal["plain", "word"] = "plain"
    """What a word is: `plain` takes punctuation out of what lies between white space (Appendix C's
    words); `word` has a space for it, as the grams that OpenAI published as examples."""
    window: Annotated[int, Field(ge=0)] = 200
    """Characters cut on each side of a colliding gram (Appendix C: 200)."""
    min_piece: Annotated[int, Field(ge=0)] = 200
    """Pieces with fewer characters are discarded (Appendix C: 200)."""
    max_pieces: Annotated[int, Field(ge=1)] = 10
    """Documents in more pieces are dropped (Appendix C: 10)."""
    max_documents: Annotated[int, Field(ge=1)] = 10
    """Grams in more documents are ignored: they are common phrases (Appendix C: 10)."""


def _in_order(kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(kinds)))  # in which order they are named changes nothing


class Tokenize(Settings):
    """How text becomes tokens."""

    vocabulary: str = "gpt2"
    """`gpt2`, or the path of a tiktoken ranks file or a byte-level `tokenizer.json`."""
    mask: Annotated[
        tuple[Literal["email", "ip", "phone"], ...], _ONE_OR_MORE, AfterValidator(_in_order)
    ] = ()
    """Personal data that a mark stands for in the tokens: `email`, `ip`, `phone`; nothing else."""
    encoder: Literal["auto", "tiktoken", "gigatoken"] = "auto"
    """`tiktoken`, the reference; `gigatoken`, of the extra `fast`, whose ids are compared with the
    reference's on a sample of every shard; `auto`: the fast one where it is installed. The tokens
    are the same."""

    @model_validator(mode="before")
    @classmethod
    def _path(cls, value: Any, info: ValidationInfo) -> Any:
        vocabulary = value.get("vocabulary") if isinstance(value, dict) else None
        if isinstance(vocabulary, str) and vocabulary != "gpt2":
            return {**value, "vocabulary": _resolve(vocabulary, info)}
        return value


class Mix(Settings):
    """How the sources are mixed into sequences (GPT-3, Table 2.2 and Appendix B)."""

    sequence_length: Annotated[int, Field(ge=8, le=1_000_000)] = 2048
    """Tokens a sequence (GPT-3: 2048)."""
    validation: Annotated[float, Field(ge=0, lt=0.5)] = 0.0005
    """Share of each source's documents that is held out of training."""
    max_epochs: Annotated[float, Field(gt=0)] = 10.0
    """Most epochs of a source; a mix that needs more is refused (GPT-3's most: 3.4)."""
    block: Annotated[int, Field(ge=1)] = 65_536
    """Sequences a block; in every block each source has its share to within one sequence."""


class Prices(Settings):
    """What machines, disks and networks cost, in one currency."""

    currency: str = "USD"
    """Name of the currency."""
    core_hour: Annotated[float, Field(ge=0)] = 0.0
    """An hour of one processor core."""
    gb_month: Annotated[float, Field(ge=0)] = 0.0
    """A month of 10^9 bytes of disk."""
    egress_gb: Annotated[float, Field(ge=0)] = 0.0
    """The transfer of 10^9 bytes of input to where the build runs."""


class Planning(Settings):
    """What `corpus plan` reckons with; nothing of it changes what is built."""

    prices: Prices | None = None
    """Prices; without them no money is shown."""
    months: Annotated[float, Field(gt=0)] = 1.0
    """Months that the disk is paid for."""
    cores: Annotated[int, Field(ge=1)] | None = None
    """Cores of the cluster; those of this machine, or `--workers`, by default."""
    sample_bytes: Annotated[int, Field(ge=100_000)] = 64_000_000
    """Bytes of each source that `--probe` builds at most."""
    inputs: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Bytes of the input of sources by name, where they cannot be looked at: not there yet, say."""


class Recipe(Settings):
    """A whole build."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Name of the build; its output folder is `data/<name>` unless --output says otherwise."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Every random draw is a function of this seed and a document's id."""
    tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens of the training run (GPT-3: 300 billion); epochs follow from it. Needed by `mix`."""
    sources: Annotated[dict[str, Source], Field(min_length=1)]
    """The sources by name, in order of priority: of two duplicates the earlier source's is kept."""
    crawl: Crawl = Crawl()
    """Downloading."""
    extract: Extract = Extract()
    """Text extraction."""
    filter: Filter | None = None
    """Quality filtering; left out without this key."""
    dedup: Dedup | None = None
    """Removal of near-duplicates; left out without this key."""
    decontaminate: Decontaminate | None = None
    """Removal of benchmark text; left out without this key."""
    tokenize: Tokenize | None = None
    """Tokenisation; left out without this key."""
    mix: Mix | None = None
    """Mixing; left out without this key."""
    plan: Planning = Planning()
    """What `corpus plan` reckons with."""

    @model_validator(mode="after")
    def _whole(self) -> Recipe:
        problems = [
            *self._source_problems(),
            *self._prefilter_problems(),
            *self._stage_problems(),
        ]
        if problems:
            raise PydanticCustomError("several", "several problems", {"problems": problems})
        return self

    def _source_problems(self) -> Iterator[tuple[str, str]]:
        for name, source in self.sources.items():
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                yield f"sources.{name}", "a source's name has only a-z, A-Z, 0-9, _ and -"
            if source.filter and self.filter is None:
                yield f"sources.{name}.filter", "the recipe has no filter section"
        rules = self.filter and (
            self.filter.languages or self.filter.heuristics or self.filter.urls
        )
        if rules and not any(source.filter for source in self.sources.values()):
            yield "filter", "filters nothing: say `filter: true` of a source"

    def _prefilter_problems(self) -> Iterator[tuple[str, str]]:
        look, rules, where = self.extract.prefilter, self.filter, "extract.prefilter"
        if look is None:
            return
        if rules is None or not any(source.filter for source in self.sources.values()):
            yield where, "looks ahead at what `filter` drops, and nothing is filtered"
            return
        if self.extract.extractor != "trafilatura":
            yield where, f"spares no time beside `extractor: {self.extract.extractor}`"
        if isinstance(rules.classifier, ClassifierTraining):
            yield (
                where,
                "would spare pages that filter.classifier is trained on: name a trained one",
            )
        elif rules.alpha == "fit":
            yield where, "would spare pages that filter.alpha is fitted to: give a number"
        elif look.quality and rules.classifier is None:
            yield f"{where}.quality", "needs a trained classifier in filter.classifier"
        if not look.quality and not (rules.languages or rules.urls or rules.heuristics):
            yield where, "has nothing to look at: add `quality: true` to it, or rules to filter"
        if look.alpha is not None and rules.alpha != "fit" and rules.alpha < look.alpha:
            yield "filter.alpha", f"would keep pages that prefilter.alpha {look.alpha:g} has spared"

    def _stage_problems(self) -> Iterator[tuple[str, str]]:
        for name in self.plan.inputs.keys() - self.sources.keys():
            yield f"plan.inputs.{name}", "is no source"
        if self.mix is not None:
            if self.tokenize is None:
                yield "mix", "needs tokenize: add `tokenize: {vocabulary: gpt2}`"
            if self.tokens is None:
                yield "tokens", "has to be given for mix: the length of the training run"
            if all(source.weight is None for source in self.sources.values()):
                yield "mix", "needs at least one source with a weight"
        if self.filter is not None and isinstance(self.filter.classifier, ClassifierTraining):
            for side in ("positives", "negatives"):
                for name in getattr(self.filter.classifier, side):
                    if name not in self.sources:
                        near = difflib.get_close_matches(name, self.sources, n=1)
                        hint = f"; did you mean {near[0]}?" if near else ""
                        yield f"filter.classifier.{side}", f"{name!r} is no source{hint}"
        for name in self.dedup.lines.sources if self.dedup and self.dedup.lines else ():
            if name not in self.sources:
                near = difflib.get_close_matches(name, self.sources, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                yield "dedup.lines.sources", f"{name!r} is no source{hint}"


def load_recipe(path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe in a YAML file.

    Args:
        path: A local path or URL.
        overrides: `key.path=value` each.

    Raises:
        RecipeError: It cannot be read, or anything in it is wrong; all problems at once.
    """
    folder = path.rsplit("/", 1)[0] if storage.is_remote(path) else storage.absolute_folder(path)
    return load_settings(Recipe, path, overrides, context={"folder": folder})
