"""Object stores: the fsspec client of a URL, and which errors are of a client."""

from __future__ import annotations

from typing import Any

from corpus.errors import InputError

# botocore lets 10 requests go at once, and makes the threads of a loader wait for each other.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"max_pool_connections": 64}},
}
# Not every client of a store wraps its errors: these packages have roots of their own.
_CLIENTS = ("aiobotocore.", "aiohttp.", "botocore.", "gcsfs.", "google.")


def store_of(path: str) -> Any:
    """Return the fsspec filesystem of a URL; credentials come from the environment."""
    import fsspec

    scheme = path.split("://", 1)[0]
    try:
        # Other processes write too: a cached listing would hide what they have made.
        return fsspec.filesystem(scheme, use_listings_cache=False, **_OPTIONS.get(scheme, {}))
    except ImportError as error:
        extra = {"s3": "s3", "gs": "gcs", "gcs": "gcs"}.get(scheme)
        fix = f"Install it: pip install 'corpusmill[{extra}]'" if extra else None
        raise InputError(
            f"no support for {scheme}:// is installed", where=path, why=str(error), fix=fix
        ) from error
    except ValueError as error:
        raise InputError(
            "this kind of URL is not known",
            where=path,
            why=str(error),
            fix="Use a local path, s3:// or gs://",
        ) from error


def is_of_storage(error: Exception) -> bool:
    """Say whether an error is one of a file system or of the client of a store."""
    return isinstance(error, OSError) or type(error).__module__.startswith(_CLIENTS)
