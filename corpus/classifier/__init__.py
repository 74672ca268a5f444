"""Train, evaluate, calibrate, save and load the quality classifier (GPT-3 paper, Appendix A)."""

from __future__ import annotations

from corpus.classifier.alpha import fit_alpha
from corpus.classifier.artefact import FEATURES_VERSION, load, load_record, save
from corpus.classifier.measuring import evaluate
from corpus.classifier.metrics import Metrics
from corpus.classifier.training import fit

__all__ = [
    "FEATURES_VERSION",
    "Metrics",
    "evaluate",
    "fit",
    "fit_alpha",
    "load",
    "load_record",
    "save",
]
