"""extract.prefilter: the cheap look spares only what filter would drop, and says what it costs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from corpus import classifier
from corpus.build import Build, describe
from corpus.config import Recipe
from corpus.document import Drop, DropReason, Page, Place
from corpus.errors import InputError
from corpus.extract import prefilter, prefilter_loss
from corpus.extract.prefilter import Look, Looks
from corpus.extract.sandbox import Extracted, Failure, Sandbox
from corpus.look import calibration
from corpus.planning import plan
from corpus.text import quality
from corpus.text.quality import Features, LinearModel
from tests.made import Recording, by_id, make_recipe, rows, run, text, warc

GERMAN = (
    "Der Fluss war in diesem Jahr so hoch, dass niemand mehr über die alte Brücke gehen konnte, "
    "und die Leute aus dem Dorf mussten den langen Weg durch den Wald nehmen, wenn sie wollten. "
)
PAGES = 240


def article(number: int) -> bytes:
    """Return a page with navigation round an article; one word in it says how good it is."""
    word = ("superb", "decent", "dreadful")[number % 3]
    said = [text(f"{number} {part}", 50).capitalize() for part in range(4)]
    body = "".join(f"<p>{one}, {' '.join([word] * 4)}, all of it.</p>" for one in said)
    if number % 8 == 5:
        body = f"<p>{GERMAN * 6}</p>"
    if number % 8 == 6:
        body = "<p>Nothing here.</p>"
    menu = "".join(f"<li><a href='/{n}'>Menu {n}</a></li>" for n in range(8))
    return f"<html><body><nav><ul>{menu}</ul></nav><article>{body}</article></body></html>".encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("prefilter")
    pages = [(article(n), "200 OK", "text/html; charset=utf-8") for n in range(PAGES)]
    pages.append((text("plain", 90).encode(), "200 OK", "text/plain"))
    pages.append((b"gone", "404 Not Found", "text/html"))
    (made / "a.warc.gz").write_bytes(warc(pages))
    (made / "blocked").write_text("site4.example\nsite12.example\n")
    # A model that knows three words; their buckets are found by the score of each word alone.
    features = Features(2**10, 1, "l2")
    weights = np.zeros(2**10)
    for word, weight in (
        ("superb", 9.0),
        ("superb,", 9.0),
        ("dreadful", -9.0),
        ("dreadful,", -9.0),
    ):
        weights[bucket(word)] = weight
    model = LinearModel(features, weights, 0.0)
    texts = pa.array([f"{word} {text(word)}" for word in ("superb", "dreadful")])
    metrics = classifier.evaluate(model, texts, np.array([True, False]))
    classifier.save(model, str(made / "model"), metrics)
    return made


@functools.cache
def bucket(word: str) -> int:
    features = Features(2**10, 1, "l2")
    texts = pa.array([word])
    for number in range(2**10):
        weights = np.zeros(2**10)
        weights[number] = 1.0
        if quality.scores(texts, LinearModel(features, weights, 0.0))[0] > 0.6:
            return number
    raise AssertionError(word)


def recipe(folder: Path, look: dict[str, Any] | None, alpha: float = 5, **rules: Any) -> Recipe:
    extract = {} if look is None else {"prefilter": look}
    source = {"filter": True, "warc": f"{folder}/a.warc.gz"}
    filters = {"classifier": f"{folder}/model", "alpha": alpha, **rules}
    return make_recipe({"s": source}, extract=extract, filter=filters)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefilter-out")


RULES: dict[str, Any] = {"languages": {"en": 0.65}, "heuristics": ["gopher"]}


@pytest.fixture(scope="module")
def full(folder: Path, output: Path) -> Build:
    return run(recipe(folder, None, urls=f"{folder}/blocked", **RULES), output, "filter")


@pytest.fixture(scope="module")
def spared(folder: Path, output: Path) -> Build:
    look = {"quality": True, "margin": 3, "audit": 0.1}
    return run(recipe(folder, look, urls=f"{folder}/blocked", **RULES), output, "filter")


def kept(build: Build) -> set[str]:
    return {key for key, row in by_id(build.stage("filter")).items() if row["kept"]}


def test_what_the_look_spares_is_what_filter_would_drop(full: Build, spared: Build) -> None:
    drops = [row for row in rows(spared.stage("extract"), "dropped") if row["detail"]]
    by_reason: dict[str, int] = {}
    for row in drops:
        if str(row["detail"]).startswith("cheap look: "):
            by_reason[row["reason"]] = by_reason.get(row["reason"], 0) + 1
    assert set(by_reason) == {"language", "gopher_quality", "quality", "url"}
    assert by_reason["quality"] > 60
    counts = spared.stage("extract").counts()
    counts.check("here")
    assert counts.dropped["http_status"] == 1
    # These pages and the classifier leave no doubt: nothing is lost, and nothing else comes in.
    assert kept(spared) == kept(full)
    assert len(kept(full)) > 20


def test_documents_that_are_extracted_are_those_of_the_full_path(
    full: Build, spared: Build
) -> None:
    everything = {row["id"]: row for row in rows(full.stage("extract"), "documents")}
    some = rows(spared.stage("extract"), "documents")
    assert 0 < len(some) < len(everything) / 2
    assert all(row == everything[row["id"]] for row in some)
    order = [key for key in everything if key in {row["id"] for row in some}]
    assert [row["id"] for row in some] == order


def test_look_makes_the_draw_of_filter(folder: Path, spared: Build) -> None:
    dropped = [
        row for row in rows(spared.stage("extract"), "dropped") if row["reason"] == "quality"
    ]
    draws = quality.draws(pa.array([row["id"] for row in dropped]), seed=11)
    for row, draw in zip(dropped, draws, strict=True):
        assert row["detail"].endswith(f"lose to draw {draw:.4f}")


def test_share_of_the_spared_pages_is_audited_and_the_cost_is_told(spared: Build) -> None:
    looks = rows(spared.stage("extract"), "looks")
    audited = [row for row in looks if row["reason"] is not None]
    facts = spared.stage("filter").summary["prefilter"]
    assert facts["audited"] == len(audited) > 5
    assert {row["id"] for row in looks} >= kept(spared) - {looks[0]["id"]}
    assert facts["kept"] == pytest.approx(len(kept(spared)), rel=0.5)
    assert 0 <= facts["lost"] < facts["most_lost"]
    assert facts["most_lost"] < facts["spared"]
    assert f"{facts['audited']} were extracted all the same" in describe(spared.stage("filter"))


def test_audit_of_all_extracts_everything(folder: Path, output: Path, full: Build) -> None:
    look = {"quality": True, "margin": 3, "audit": 1.0}
    build = run(recipe(folder, look, urls=f"{folder}/blocked", **RULES), output, "filter")
    assert rows(build.stage("extract"), "documents") == rows(full.stage("extract"), "documents")
    assert len(rows(build.stage("extract"), "looks")) == PAGES
    facts = build.stage("filter").summary["prefilter"]
    assert (facts["spared"], facts["lost"], facts["most_lost"]) == (0, 0.0, 0.0)
    assert facts["audited"] > PAGES / 2


def test_lower_look_alpha_leaves_room_to_change_alpha(folder: Path, tmp_path: Path) -> None:
    look = {"quality": True, "alpha": 2}
    run(recipe(folder, look, alpha=9), tmp_path, "filter")
    progress = Recording()
    lower = run(recipe(folder, look, alpha=3), tmp_path, "filter", progress=progress)
    assert progress.made == {"filter": 1}
    assert lower.stage("filter").summary["prefilter"]["spared"] > 0


def test_another_margin_extracts_again(folder: Path, tmp_path: Path) -> None:
    run(recipe(folder, {"quality": True, "margin": 3}), tmp_path, "extract")
    progress = Recording()
    run(recipe(folder, {"quality": True, "margin": 4}), tmp_path, "extract", progress=progress)
    assert progress.made["extract"] == 1


def problems(sources: dict[str, Any], extract: dict[str, Any], rules: Any) -> str:
    with pytest.raises(ValidationError) as error:
        make_recipe(sources, extract=extract, filter=rules)
    return str(error.value.errors())


@pytest.mark.parametrize(
    ("look", "filters", "message"),
    [
        (
            {"quality": True},
            {"classifier": None, "languages": {"en": 0.5}},
            "needs a trained classifier",
        ),
        ({}, {"classifier": "m"}, "nothing to look at"),
        ({"quality": True, "alpha": 4}, {"classifier": "m", "alpha": 3}, "would keep pages"),
        (
            {"quality": True},
            {"classifier": {"positives": ["s"], "negatives": ["s"]}, "alpha": 3},
            "trained on",
        ),
        (
            {"quality": True},
            {"classifier": {"positives": ["s"], "negatives": ["s"]}, "alpha": "fit"},
            "trained on",
        ),
        ({"quality": True}, {"classifier": "m", "alpha": "fit"}, "fitted to"),
        ({"margin": 0.5}, {"classifier": "m"}, "greater than or equal to 1"),
    ],
)
def test_look_that_makes_no_sense_is_refused(
    look: dict[str, Any], filters: dict[str, Any], message: str
) -> None:
    source = {"filter": True, "warc": "a.warc.gz"}
    assert message in problems({"s": source}, {"prefilter": look}, filters)


def test_look_beside_a_fast_extractor_or_no_filter_is_refused() -> None:
    source = {"filter": True, "warc": "a.warc.gz"}
    rules = {"languages": {"en": 0.5}}
    slow = {"prefilter": {}, "extractor": "resiliparse"}
    assert "spares no time" in problems({"s": source}, slow, rules)
    assert "nothing is filtered" in problems({"s": {"warc": "a.warc.gz"}}, {"prefilter": {}}, None)


# --- one page at a time, with a sandbox of our own


class Cheap:
    """Gives the bodies of pages as their visible text; `fail` in it fails."""

    def map(
        self, items: Iterable[Page | Drop]
    ) -> Iterator[tuple[Page | Drop, Extracted | Failure | None]]:
        for item in items:
            if isinstance(item, Drop):
                yield item, None
            elif b"fail" in item.body:
                yield item, Failure(DropReason.EXTRACTION_CRASH, "died")
            else:
                yield item, Extracted(item.body.decode(), None)


def a_page(number: int, body: str, kind: str = "text/html") -> Page:
    return Page(f"id{number}", "https://a.example/", None, Place(), kind, None, body.encode())


def looked(items: list[Page | Drop], **changes: Any) -> tuple[list[Page | Drop], Looks]:
    given: dict[str, Any] = {
        "languages": ("en",),
        "blocked": ("", ""),
        "minimum_words": 0,
        "classifier": "",
        "label": "",
        "alpha": 0.0,
        "margin": 1.0,
        "audit": 1e-12,
        "seed": 1,
        **changes,
    }
    looks = Looks()
    sandbox = cast(Sandbox, Cheap())
    return list(prefilter.looked(iter(items), Look(**given), sandbox, looks)), looks


def test_page_that_could_not_be_looked_at_is_left_to_the_extraction() -> None:
    drop = Drop("d", None, DropReason.EMPTY_BODY, None, Place())
    items: list[Page | Drop] = [
        a_page(1, GERMAN + "fail"),
        drop,
        a_page(2, GERMAN, "text/plain"),
        a_page(3, ""),
        a_page(4, GERMAN, "application/xhtml+xml"),
    ]
    found, looks = looked(items)
    assert found[:4] == items[:4]
    spared = found[4]
    assert isinstance(spared, Drop)
    assert (spared.id, spared.reason, spared.url) == ("id4", "language", "https://a.example/")
    assert looks.ids == ["id3"]
    assert looks.table()["score"].null_count == 1


def test_order_is_kept_over_batches() -> None:
    items: list[Page | Drop] = [
        a_page(n, GERMAN if n % 3 else text(n)) for n in range(3 * prefilter.BATCH_PAGES + 5)
    ]
    found, _ = looked(items)
    assert [item.id for item in found] == [item.id for item in items]
    assert [isinstance(item, Drop) for item in found] == [bool(n % 3) for n in range(len(items))]


def test_mixed_page_is_not_spared_for_its_language() -> None:
    mixed = f"{GERMAN * 3}\n{text('en', 40)}"  # 71 % German
    found, _ = looked([a_page(1, mixed)])
    assert isinstance(found[0], Page)


def test_margin_multiplies_the_odds() -> None:
    scores = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    odds = 10 * scores[:-1] / (1 - scores[:-1])
    raised = np.append(odds / (1 + odds), 1.0)
    found = prefilter.pass_probability(scores, alpha=9, margin=10)
    assert found == pytest.approx((2 - raised) ** -9)
    assert prefilter.pass_probability(scores, alpha=9, margin=1) == pytest.approx(
        quality.keep_probability(scores, alpha=9)
    )


# --- the estimate


def test_estimate_of_the_loss_has_no_bias() -> None:
    """Over 3,000 repetitions the mean of the estimates is the true loss, and the error is right."""
    generator = np.random.default_rng(5)
    number, alpha, margin, audit = 400, 4.0, 1.5, 0.2
    scores = generator.random(number)
    cheap = np.clip(scores + generator.normal(0, 0.3, number), 0, 1)
    by_rule = generator.random(number) < 0.1
    keep = quality.keep_probability(scores, alpha=alpha)
    passes = prefilter.pass_probability(cheap, alpha=alpha, margin=margin)
    passes = np.where(by_rule, 0.0, passes)
    missed = (1 - audit) * np.maximum(0, keep - passes)
    look = {"alpha": alpha, "margin": margin, "audit": audit}
    found: list[prefilter_loss._Sums] = []
    for _ in range(3000):
        by_draw = generator.random(number) < passes
        chosen = by_draw | (generator.random(number) < audit)
        reason = np.where(by_rule, "language", np.where(by_draw, None, "quality"))
        table = pa.table(
            {
                "id": pa.array([str(n) for n in np.flatnonzero(chosen)]),
                "reason": pa.array(reason[chosen].tolist(), pa.string()),
                "score": cheap[chosen],
            }
        )
        found.append(prefilter_loss._Sums())
        prefilter_loss._add(found[-1], table, keep[chosen], look)
    for name, true in (("by_draw", missed[~by_rule].sum()), ("by_rule", missed[by_rule].sum())):
        estimates = np.array([getattr(one, name) for one in found])
        error = estimates.std() / np.sqrt(len(found))
        assert abs(estimates.mean() - true) < 4 * error < true
    drawn = np.array([one.by_draw for one in found])
    assert np.mean([one.kept for one in found]) == pytest.approx(keep.sum(), rel=0.01)
    assert np.mean([one.variance for one in found]) == pytest.approx(drawn.var(), rel=0.1)
    assert np.mean([one.audited_by_rule for one in found]) == pytest.approx(
        audit * by_rule.sum(), rel=0.05
    )


@pytest.mark.parametrize(
    ("spared", "audited", "kept", "most"),
    [
        (0, 0, 0.0, 0.0),
        (1000, 0, 0.0, None),
        (1000, 1, 0.0, 950.0),  # nothing of one page is known of hardly any
        (1000, 59, 0.0, 49.5),  # the rule of three: 3 / 59 is 0.0508
        (1000, 59, 1.0, 77.9),
        (1000, 5, 5.0, 1000.0),
    ],
)
def test_bound_of_what_rules_cost(
    spared: int, audited: int, kept: float, most: float | None
) -> None:
    sums = prefilter_loss._Sums(spared_by_rule=spared, audited_by_rule=audited, audited_kept=kept)
    found = prefilter_loss._most_lost(sums)
    assert found == (most if most is None else pytest.approx(most, abs=0.6))
    facts = {"spared": spared, "audited": audited, "lost": 0.0, "most_lost": found}
    said = prefilter_loss.sentence({**facts, "lost_share": 0.0})
    assert ("not known" in said) is (found is None)


def test_article_among_navigation_in_another_language_is_extracted() -> None:
    topics = ("villes", "voyages", "livres", "enfants", "jardins", "maisons", "recettes", "sports")
    menu = "\n".join(f"Toutes nos {a} pour les {b}" for a in topics for b in topics)
    items: list[Page | Drop] = [a_page(1, f"{menu}\n{text('an article', 90)}\n{menu}")]
    found, _ = looked(items)
    assert found == items
    found, _ = looked([a_page(2, menu)])
    assert isinstance(found[0], Drop)


def test_plan_says_that_the_look_makes_extraction_depend_on_the_filter(
    folder: Path, tmp_path: Path
) -> None:
    def states(given: Recipe) -> dict[str, str]:
        return {stage.stage: stage.state for stage in plan.plan(given, str(tmp_path)).stages}

    look = {"quality": True}
    run(recipe(folder, look, alpha=9), tmp_path, "filter")
    assert states(recipe(folder, look, alpha=9))["extract"] == "built"
    assert states(recipe(folder, look, alpha=10))["extract"] == "changed"
    assert states(recipe(folder, look, alpha=9, **RULES))["extract"] == "changed"


def test_alpha_is_not_calibrated_by_the_scores_that_the_look_left(
    folder: Path, spared: Build
) -> None:
    given = recipe(folder, {"quality": True, "margin": 3, "audit": 0.1}, **RULES)
    with pytest.raises(InputError, match="spared are not known"):
        calibration.calibrate(given, spared)
