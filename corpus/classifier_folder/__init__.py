"""Classifiers with a recipe of their own: train one into a folder, evaluate one, score with one.

In: `train.yaml`. Out: `classifiers/<name>` with `model.npz`, `metrics.json`, `train.yaml` and the
model card `README.md`. The sources go through the build's own stages, so that a run that was
stopped goes on, and the same pages are not extracted twice.
"""

from corpus.classifier_folder.evaluation import Evaluation, evaluate
from corpus.classifier_folder.inputs import PROBES, probe, read_groups, read_probes
from corpus.classifier_folder.training import CARD, train

__all__ = [
    "CARD",
    "PROBES",
    "Evaluation",
    "evaluate",
    "probe",
    "read_groups",
    "read_probes",
    "train",
]
