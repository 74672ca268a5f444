"""A classifier's record as tables: for a terminal, and for the measured part of its model card.

In: the object in `metrics.json`. Out: lines and `corpus.tables.Table`s, or Markdown. No text that a
classifier has seen is in them: only numbers, names of sources, and words of probes, which are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from corpus.tables import Block, Table, printable

BEGIN, END = "<!-- measured: corpus classifier train -->", "<!-- end of measured -->"


def describe(record: Mapping[str, Any]) -> Iterator[Block]:
    """Yield what a person wants to know of a classifier, most important first."""
    metrics = record["metrics"]
    yield (
        f"Held out: {metrics['positives']:,} positives and {metrics['negatives']:,} negatives; "
        f"trained on {metrics['trained_on']:,} documents{_trained(record)}."
    )
    yield Table(
        ("measure", "value"),
        [
            ("ROC-AUC", f"{metrics['roc_auc']:.4f}"),
            *_unmarked(metrics),
            ("average precision", f"{metrics['average_precision']:.4f}"),
            ("F1 at 0.5", f"{metrics['f1']:.4f}"),
            ("calibration error", f"{metrics['calibration_error']:.4f}"),
            ("mean score of positives", f"{metrics['mean_positive_score']:.4f}"),
            ("mean score of negatives", f"{metrics['mean_negative_score']:.4f}"),
            *zip(
                ("twice the length, positives", "twice the length, negatives"),
                (f"{slope:+.4f}" for slope in metrics["length_slopes"]),
                strict=True,
            ),
        ],
    )
    yield "Expected to be kept at each alpha:"
    yield Table(
        ("alpha", "positives", "negatives"),
        [
            (f"{rate['alpha']:g}", f"{rate['positives']:.2%}", f"{rate['negatives']:.2%}")
            for rate in metrics["keep_rates"]
        ],
    )
    yield "Calibration, both classes counted the same:"
    yield Table(
        ("score", "documents", "mean score", "share of positives"),
        [
            (
                f"{one['lower']:.1f} to {one['upper']:.1f}",
                f"{one['documents']:,}",
                _number(one["mean_score"]),
                _number(one["positive_share"]),
            )
            for one in metrics["calibration"]
        ],
    )
    yield "By length:"
    yield Table(
        ("up to characters", "documents", "mean score"),
        [
            (f"{one['longest_characters']:,}", f"{one['documents']:,}", _number(one["mean_score"]))
            for one in metrics["length_deciles"]
        ],
    )
    yield "By group; kept is the share at alpha 9, ROC-AUC is against the other class:"
    yield Table(
        ("kind", "name", "positives", "negatives", "others", "mean score", "kept", "ROC-AUC"),
        [
            (
                one["kind"],
                printable(one["name"]),
                *(f"{one[key]:,}" for key in ("positives", "negatives", "others")),
                _number(one["mean_score"]),
                f"{one['kept']:.2%}",
                f"{one['roc_auc']:.4f}",
            )
            for one in metrics["groups"]
        ],
    )
    if metrics["learning_curve"]:
        yield "Learning curve:"
        yield Table(
            ("documents", "ROC-AUC", "F1"),
            [
                (f"{one['documents']:,}", f"{one['roc_auc']:.4f}", f"{one['f1']:.4f}")
                for one in metrics["learning_curve"]
            ],
        )
    if record.get("probes"):
        yield "Texts written for this card:"
        yield Table(
            ("text", "score", "kept", "raised by", "lowered by"),
            [
                (
                    probe["name"],
                    f"{probe['score']:.3f}",
                    f"{(2 - probe['score']) ** -9:.2%}",
                    ", ".join(map(printable, probe["raised_by"])),
                    ", ".join(map(printable, probe["lowered_by"])),
                )
                for probe in record["probes"]
            ],
        )
    for warning in metrics["warnings"]:
        yield f"Warning: {warning}"


def _trained(record: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{n:,} of {name}" for name, n in record.get("trained_on", {}).items())
    copies = record.get("near_copies", 0)
    left = f"; {copies:,} held out were left out as near copies of them" if copies else ""
    return (f" ({listed})" if listed else "") + left


def _unmarked(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if metrics["auc_without_marks"] is not None:
        yield "ROC-AUC without bullets, bars and the like", f"{metrics['auc_without_marks']:.4f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def markdown(record: Mapping[str, Any]) -> str:
    """Return the measured part of a model card."""
    parts = []
    for block in describe(record):
        if isinstance(block, str):
            parts.append(block)
            continue
        head = "| " + " | ".join(block.head) + " |"
        rows = ["| " + " | ".join(c.replace("|", r"\|") for c in row) + " |" for row in block.rows]
        parts.append("\n".join([head, "|" + "---|" * len(block.head), *rows]))
    return "\n\n".join([BEGIN, *parts, END])


def renewed(page: str, record: Mapping[str, Any]) -> str:
    """Return a model card with its measured part as the record has it; what people wrote stays."""
    start, found, rest = page.partition(BEGIN)
    if not found:
        return f"{page.rstrip()}\n\n{markdown(record)}\n".lstrip()
    return start + markdown(record) + rest.partition(END)[2]
