"""What every settings model is made of, and its types as they are read and shown."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator


class Settings(BaseModel):
    """Base of every settings model: frozen, and unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `true` where a number is asked for: pydantic takes it for 1."""
        if isinstance(value, bool) and info.field_name is not None:
            annotation = cls.model_fields[info.field_name].annotation
            if not _takes_bool(annotation):
                wanted = mapping_of(models_in(annotation))
                raise ValueError(wanted or f"`{str(value).lower()}` is neither a number nor text")
        return value


def _takes_bool(annotation: Any) -> bool:
    return annotation in (bool, Any) or any(map(_takes_bool, typing.get_args(annotation)))


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models_in(part)]


def mapping_of(models: Sequence[type[BaseModel]]) -> str:
    """Return what to write where one of these models belongs; nothing of none."""
    names = sorted({name for one in models for name in one.model_fields})
    if not names:
        return ""
    empty = "; {} takes their defaults" if any(map(_may_be_empty, models)) else ""
    return f"keys belong here, of {', '.join(names)}{empty}"


def _may_be_empty(model: type[BaseModel]) -> bool:
    try:
        model()
    except ValidationError:
        return False
    return True


def plain(annotation: Any) -> str:
    """Return a type as a person reads it, for the reference page."""
    if annotation is type(None):
        return "null"
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(plain(part) for part in typing.get_args(annotation))
    if origin is typing.Annotated:
        return plain(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return " or ".join(f"`{part}`" for part in typing.get_args(annotation))
    if origin in (list, tuple):
        return "list of " + plain(typing.get_args(annotation)[0])
    if origin in (dict, Mapping, typing.get_origin(Mapping[str, str])):
        key, inner = typing.get_args(annotation)
        return f"map of {plain(key)} to {plain(inner)}"
    names = {str: "text", int: "integer", float: "number", bool: "true or false"}
    return names.get(annotation) or str(getattr(annotation, "__name__", annotation))
