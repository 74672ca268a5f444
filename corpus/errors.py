"""The errors of this package, every one a single paragraph for a person.

::

    CorpusError
    ├── RecipeError        the recipe or the command line is wrong (exit code 2)
    └── StageError         a stage failed (exit code 1)
        ├── InputError     an input cannot be read, or is not what it should be
        ├── FetchError     a download failed for good; NoSuchFileError: there is nothing to fetch
        ├── OutputError    an output cannot be written
        ├── IntegrityError bytes on disk are not those that the manifest promises
        ├── AccountingError what went in is not what was kept plus what was dropped
        └── BoundError     a share of losses is over the bound that the recipe allows
"""

from __future__ import annotations


class CorpusError(Exception):
    """Something a person can act upon: what happened, where, why, and what to do next.

    Args:
        what: What happened, as the start of a sentence, without a full stop.
        where: The file, URL or dotted recipe key that it happened at.
        why: The cause, as far as it is known.
        fix: The next step, if possible a command to run.
    """

    exit_code = 1

    def __init__(
        self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.why:
            parts.append(self.why)
        if self.fix:
            parts.append(self.fix)
        return " ".join(
            part if part.endswith((".", "?", "!", ":")) else part + "." for part in parts
        )

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel from worker processes, so they have to survive pickling whole.
        notes = {"__notes__": self.__notes__} if hasattr(self, "__notes__") else {}
        return (_rebuild, (type(self), self.what, self.where, self.why, self.fix), notes)


def _rebuild(
    kind: type[CorpusError], what: str, where: str | None, why: str | None, fix: str | None
) -> CorpusError:
    return kind(what, where=where, why=why, fix=fix)


class RecipeError(CorpusError):
    """The recipe or the command line is wrong; nothing has been run."""

    exit_code = 2


class StageError(CorpusError):
    """A stage could not do what was asked."""


class InputError(StageError):
    """An input cannot be read, or is not what it should be."""


class FetchError(StageError):
    """A download failed for good."""


class NoSuchFileError(FetchError):
    """The server says that it does not have what is asked for."""


class OutputError(StageError):
    """An output cannot be written."""


class IntegrityError(StageError):
    """Bytes on disk are not those that the manifest promises."""


class AccountingError(StageError):
    """What went in is not what was kept plus what was dropped."""


class BoundError(StageError):
    """A share of losses is over the bound that the recipe allows."""
