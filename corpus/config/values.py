"""Values that more than one section has: shares, and paths, which are relative to the recipe."""

from __future__ import annotations

import glob
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from corpus import storage


def resolve(path: str, info: ValidationInfo) -> str:
    """Make a relative path relative to the recipe, as the contract says."""
    folder = (info.context or {}).get("folder")
    if not folder or storage.is_remote(path) or path.startswith("/") or "://" in path:
        return path
    return storage.join(glob.escape(folder) if any(s in path for s in "*?[") else folder, path)


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


# What a validator takes beside the field's own type is said again for editors' schemas.
ONE_OR_MORE = BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...])
RecipePath = Annotated[str, Field(min_length=1), AfterValidator(resolve)]
Paths = Annotated[tuple[RecipePath, ...], ONE_OR_MORE, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
