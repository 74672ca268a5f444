"""The classifier's folder: `model.npz`, `metrics.json`, written and read.

Nothing in them is executed on reading, and no size that they state is believed. Weights are
float32: half of the bytes of what was fitted, and scores that differ by less than a millionth.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus import storage
from corpus.classifier.metrics import Metrics
from corpus.errors import InputError
from corpus.text.quality import Features, LinearModel

# Which words are counted in which bucket. Another number when either changes.
FEATURES_VERSION = "lower-whitespace-murmur3-1"
MODEL = "model.npz"
METRICS = "metrics.json"
_MAXIMUM_BYTES = 1 << 30  # of model.npz and of each array in it
_RETRAIN = "Let a recipe train one: filter: {classifier: {positives: [...], negatives: [...]}}"


def save(
    model: LinearModel, folder: str, metrics: Metrics, record: Mapping[str, Any] | None = None
) -> None:
    """Write `model.npz` and `metrics.json` into a folder; equal models give equal bytes.

    Args:
        model: The classifier; its weights are rounded to float32.
        folder: A local folder or a URL.
        metrics: What it does to held-out documents.
        record: More entries of `metrics.json`.

    Raises:
        OutputError: The folder cannot be written.
    """
    arrays = {
        "features_version": np.array(FEATURES_VERSION),
        "count": np.array(model.features.count, np.int64),
        "ngrams": np.array(model.features.ngrams, np.int64),
        "norm": np.array(model.features.norm),
        "intercept": np.array(model.intercept, np.float64),
        "weights": model.weights.astype(np.float32),
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            # An entry named by hand bears the date 1980-01-01 and not the clock's.
            entry = zipfile.ZipInfo(f"{name}.npy")
            archive.writestr(entry, member.getvalue(), zipfile.ZIP_DEFLATED, 9)
    storage.write_bytes(storage.join(folder, MODEL), data.getvalue())
    storage.write_json(
        storage.join(folder, METRICS),
        {
            "features_version": FEATURES_VERSION,
            "features": dataclasses.asdict(model.features),
            "model_sha256": hashlib.sha256(data.getvalue()).hexdigest(),
            "metrics": dataclasses.asdict(metrics),
            **(record or {}),
        },
    )


def load(folder: str) -> LinearModel:
    """Return the classifier that `save` wrote into a folder.

    Raises:
        InputError: The file is missing, cut short, not a classifier, of another version of the
            features, or holds what cannot be a model. Nothing in it is executed.
    """
    path = storage.join(folder, MODEL)
    if not storage.exists(path):
        raise InputError(
            "there is no classifier",
            where=path,
            why=f"The folder has no {MODEL}",
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
                    fix=_RETRAIN,
                )
            features = Features(
                count=int(_array(archive, "count", "i")),
                ngrams=int(_array(archive, "ngrams", "i")),
                norm=str(_array(archive, "norm", "U")),
            )
            weights = _array(archive, "weights", "f", (features.count,), 4).astype(np.float64)
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
        raise InputError("this is not a classifier", where=path, why=why, fix=_RETRAIN) from error


def load_record(folder: str) -> dict[str, Any]:
    """Return `metrics.json` of a classifier's folder.

    Raises:
        InputError: It is missing, or not an object in JSON.
    """
    path = storage.join(folder, METRICS)
    fix = "Name the folder of a classifier that was trained by this program"
    if not storage.exists(path):
        raise InputError("the classifier has no metrics", where=path, fix=fix)
    if storage.size(path) > _MAXIMUM_BYTES >> 4:
        raise InputError("the file is too large for a classifier's metrics", where=path, fix=fix)
    try:
        value = json.loads(storage.read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise InputError("this is not JSON", where=path, why=str(error), fix=fix) from error
    if not isinstance(value, dict):
        raise InputError("these are not a classifier's metrics", where=path, fix=fix)
    return value


def positive_quantiles(folder: str) -> NDArray[np.float64]:
    """Return quantiles of the scores of positives that a classifier has not been trained on.

    Raises:
        InputError: Its metrics have none, or what is there are no scores in rising order.
    """
    metrics = load_record(folder).get("metrics")
    values = metrics.get("positive_quantiles") if isinstance(metrics, dict) else None
    numbers = isinstance(values, list) and all(type(v) in (int, float) for v in values)
    try:
        found = np.array(values if numbers else [], np.float64)
    except OverflowError:  # an integer that is larger than any float
        found = np.empty(0)
    if not (found.size and found[0] >= 0 and found[-1] <= 1 and (np.diff(found) >= 0).all()):
        raise InputError(
            "alpha cannot be fitted to this classifier",
            where=storage.join(folder, METRICS),
            why="It has no positive_quantiles: scores of its positives, held out, in rising order",
            fix="Give alpha as a number, or train the classifier again",
        )
    return found


def _array(
    archive: zipfile.ZipFile, name: str, kind: str, shape: tuple[int, ...] = (), size: int = 0
) -> NDArray[Any]:
    """Return an array of an .npz archive; the size is checked before anything is set aside."""
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type != zipfile.ZIP_DEFLATED or entry.file_size > _MAXIMUM_BYTES:
        raise ValueError(f"{name} is not packed as it should be")
    data = archive.read(entry)
    file = io.BytesIO(data)
    np.lib.format.read_magic(file)
    found, _, dtype = np.lib.format.read_array_header_1_0(file)
    if found != shape or dtype.kind != kind or (size and dtype.itemsize != size):
        wanted = f"{8 * size}-bit {kind}" if size else kind
        raise ValueError(f"{name} is {dtype} {found}, it must be {wanted} of the shape {shape}")
    if len(data) - file.tell() != dtype.itemsize * math.prod(shape):
        raise ValueError(f"{name} has not as many bytes as it says")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape)
