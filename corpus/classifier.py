"""Fit, save and load the quality classifier of Appendix A of the GPT-3 paper.

Columns of reference text and of raw crawl text go in; a `LinearModel` whose scores
`corpus.text.quality` computes, and what it does to text that it has not seen, come out. The paper
gives neither the size nor the balance of the classes, the regularisation or the dimension: classes
are weighted to count the same, the rest is an argument. scikit-learn is imported where it is used.
"""

from __future__ import annotations

import dataclasses
import io
import math
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpus import storage
from corpus.classifier_alpha import fit_alpha
from corpus.classifier_metrics import Metrics, evaluate
from corpus.errors import InputError, StageError
from corpus.text import quality
from corpus.text.quality import Features, LinearModel

__all__ = ["FEATURES_VERSION", "Metrics", "evaluate", "fit", "fit_alpha", "load", "save"]

MAXIMUM_ITERATIONS = 1000  # of L-BFGS; 20 to 200 are usual, so that this is a sign of a bad fit
# Which words are counted in which bucket. Another number when either changes.
FEATURES_VERSION = "lower-whitespace-murmur3-1"
_MODEL = "model.npz"
_METRICS = "metrics.json"
_MAXIMUM_BYTES = 1 << 30  # of model.npz and of each array in it


def fit(
    positives: Iterable[pa.Array],
    negatives: Iterable[pa.Array],
    *,
    features: Features,
    seed: int,
    inverse_regularisation: float,
    truncate_characters: int | None,
    held_out: float,
) -> tuple[LinearModel, Metrics]:
    """Fit a logistic regression that tells reference text from raw crawl text.

    The same documents in the same order give the same weights, whatever the number of processors.
    Whether a document is held out is a function of the seed and its text, so that a repeated text
    is never on both sides.

    Args:
        positives: Columns of reference documents (WebText, Wikipedia, books in the paper).
        negatives: Columns of unfiltered crawl documents.
        features: How a text becomes a vector.
        seed: Of the choice of what is held out.
        inverse_regularisation: C of scikit-learn: the weight of the data against the L2 penalty.
        truncate_characters: Only so much of the beginning of a document is trained on, or None for
            all of it. Held-out documents are scored whole, as the filter scores them.
        held_out: Share of the documents that is not trained on but evaluated.

    Returns:
        The model and what it does to the documents held out.

    Raises:
        InputError: A class is empty, or too small for both sides of the split.
        StageError: The optimiser does not converge.
        ValueError: A setting that makes no sense, or a null among the texts.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    if not 0 < held_out < 1:
        raise ValueError(f"held_out is {held_out}, it must lie between 0 and 1")
    vectorizer = HashingVectorizer(
        tokenizer=str.split,
        token_pattern=None,
        lowercase=True,
        ngram_range=(1, features.ngrams),
        n_features=features.count,
        alternate_sign=False,
        norm=None if features.norm == "none" else features.norm,
        dtype=np.float64,
    )
    matrices: list[Any] = []
    labels: list[NDArray[np.bool_]] = []
    unseen: list[pa.Array] = []
    unseen_labels: list[NDArray[np.bool_]] = []
    for label, columns in ((True, positives), (False, negatives)):
        sizes = [0, 0]
        for column in columns:
            aside = held_out_rows(column, seed=seed, share=held_out)
            unseen.append(column.filter(pa.array(aside)).cast(pa.large_string()))
            unseen_labels.append(np.full(len(unseen[-1]), label))
            train = column.filter(pa.array(~aside))
            if truncate_characters is not None:
                train = pc.utf8_slice_codeunits(train, 0, truncate_characters)
            if len(train):
                matrices.append(vectorizer.transform(train.to_pylist()))
                labels.append(np.full(len(train), label))
            sizes[0] += len(train)
            sizes[1] += len(unseen[-1])
        _require_both_sides(label, *sizes)
    targets = np.concatenate(labels)
    weights, intercept = _regress(matrices, targets, inverse_regularisation)
    # The solver's last digits differ between processors; those that are kept hardly ever do.
    model = LinearModel(features, np.round(weights, 6), round(intercept, 6))
    metrics = evaluate(
        model, pa.concat_arrays(unseen), np.concatenate(unseen_labels), trained_on=len(targets)
    )
    return model, metrics


def held_out_rows(texts: pa.Array, *, seed: int, share: float) -> NDArray[np.bool_]:
    """Say which texts `fit` holds out of training: the same text always is, or never."""
    return quality.draws(texts, seed=seed) < share


def _require_both_sides(label: bool, trained: int, held_out: int) -> None:
    if trained and held_out:
        return
    kind = "positive (reference)" if label else "negative (crawl)"
    if trained + held_out == 0:
        what, why = f"there are no {kind} documents to train the classifier on", None
    else:
        what = f"there are too few {kind} documents to train the classifier on"
        why = f"{trained} are left for training and {held_out} for evaluation"
    fix = "Name sources with more documents, or a folder with a trained classifier"
    raise InputError(what, where="filter.classifier", why=why, fix=fix)


def _regress(
    matrices: list[Any], targets: NDArray[np.bool_], inverse_regularisation: float
) -> tuple[NDArray[np.float64], float]:
    import scipy.sparse
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    regression = LogisticRegression(
        C=inverse_regularisation,
        class_weight="balanced",
        solver="lbfgs",
        max_iter=MAXIMUM_ITERATIONS,
    )
    # With more threads sums are made in another order, and the last bits of the weights differ.
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            regression.fit(scipy.sparse.vstack(matrices, format="csr"), targets)
        except ConvergenceWarning as error:
            raise StageError(
                f"the classifier did not converge within {MAXIMUM_ITERATIONS} iterations",
                where="filter.classifier",
                why=str(error).splitlines()[0],
                fix='Lower the inverse regularisation, or use norm "l2"',
            ) from error
    return np.array(regression.coef_[0], np.float64), float(regression.intercept_[0])


def save(model: LinearModel, folder: str, metrics: Metrics) -> None:
    """Write `model.npz` and `metrics.json` into a folder; equal models give equal bytes.

    Raises:
        OutputError: The folder cannot be written.
    """
    arrays = {
        "features_version": np.array(FEATURES_VERSION),
        "count": np.array(model.features.count, np.int64),
        "ngrams": np.array(model.features.ngrams, np.int64),
        "norm": np.array(model.features.norm),
        "intercept": np.array(model.intercept, np.float64),
        "weights": model.weights,
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            # An entry named by hand bears the date 1980-01-01 and not the clock's.
            entry = zipfile.ZipInfo(f"{name}.npy")
            archive.writestr(entry, member.getvalue(), zipfile.ZIP_DEFLATED, 6)
    storage.write_bytes(storage.join(folder, _MODEL), data.getvalue())
    storage.write_json(
        storage.join(folder, _METRICS),
        {
            "features_version": FEATURES_VERSION,
            "features": dataclasses.asdict(model.features),
            "metrics": dataclasses.asdict(metrics),
        },
    )


def load(folder: str) -> LinearModel:
    """Return the classifier that `save` wrote into a folder.

    Raises:
        InputError: The file is missing, cut short, not a classifier, of another version of the
            features, or holds what cannot be a model. Nothing in it is executed.
    """
    path = storage.join(folder, _MODEL)
    retrain = "Let a recipe train one: filter: {classifier: {positives: [...], negatives: [...]}}"
    if not storage.exists(path):
        raise InputError(
            "there is no classifier",
            where=path,
            why=f"The folder has no {_MODEL}",
            fix="Name the folder of a trained classifier, or the sources to train one on",
        )
    if storage.size(path) > _MAXIMUM_BYTES:
        raise InputError(
            "the file is too large for a classifier", where=path, fix="Name the right folder"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(storage.read_bytes(path))) as archive:
            version = str(_array(archive, "features_version", "U"))
            if version != FEATURES_VERSION:
                raise InputError(
                    "the classifier was trained on other features",
                    where=path,
                    why=f"It has {version[:80]!r}, this program has {FEATURES_VERSION!r}",
                    fix=retrain,
                )
            features = Features(
                count=int(_array(archive, "count", "i")),
                ngrams=int(_array(archive, "ngrams", "i")),
                norm=str(_array(archive, "norm", "U")),
            )
            weights = _array(archive, "weights", "f", (features.count,))
            return LinearModel(features, weights, float(_array(archive, "intercept", "f")))
    except (
        zipfile.BadZipFile,
        tokenize.TokenError,  # NumPy's, of a header that is not one
        zlib.error,
        EOFError,
        KeyError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        OSError,
    ) as error:
        why = f"It is cut short or damaged: {error}"
        raise InputError("this is not a classifier", where=path, why=why, fix=retrain) from error


def _array(
    archive: zipfile.ZipFile, name: str, kind: str, shape: tuple[int, ...] = ()
) -> NDArray[Any]:
    """Return an array of an .npz archive; the size is checked before anything is set aside."""
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type != zipfile.ZIP_DEFLATED or entry.file_size > _MAXIMUM_BYTES:
        raise ValueError(f"{name} is not packed as it should be")
    data = archive.read(entry)
    file = io.BytesIO(data)
    np.lib.format.read_magic(file)
    found, _, dtype = np.lib.format.read_array_header_1_0(file)
    if found != shape or dtype.kind != kind:
        raise ValueError(f"{name} is {dtype} {found}, it must have the shape {shape}")
    if len(data) - file.tell() != dtype.itemsize * math.prod(shape):
        raise ValueError(f"{name} has not as many bytes as it says")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape)
