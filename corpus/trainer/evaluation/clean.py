"""Results on clean examples alone: GPT-3, section 4 and Appendix C, figure 4.2.

In: the folder `evaluation-...` of a build, in which `corpus decontaminate --report` has written
which examples of each benchmark are dirty. Out: the dirty ones by the name of the benchmark.
Examples are found by their identifier, or by their file and number there, as the report lists them;
a turn of a conversation and an answer of a question by those of what they are a part of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow.parquet as pq

from corpus import storage
from corpus.errors import InputError
from corpus.trainer.evaluation.outcomes import Outcome

_FILE = re.compile(r"\d{3,}-(.+)\.parquet")
_UNSAFE = re.compile(r"[^\w.-]+")  # as in the names of these files


@dataclass(frozen=True)
class Overlaps:
    """Which examples of a build's benchmarks are dirty.

    Attributes:
        folder: Where it is from.
        files: Path of each benchmark's table, by its name.
    """

    folder: str
    files: Mapping[str, str]

    @classmethod
    def open(cls, folder: str) -> Overlaps:
        """Return what is in a folder.

        Raises:
            InputError: There is no report in it.
        """
        inner = storage.join(folder, "benchmarks")
        matches = ((_FILE.fullmatch(name), name) for name in storage.list_folder(inner))
        files = {match[1]: storage.join(inner, name) for match, name in matches if match}
        if not files:
            raise InputError(
                "there is no report on benchmarks in this folder",
                where=folder,
                fix="Run: corpus decontaminate --report, and name the folder evaluation-... of "
                "the build",
            )
        return cls(folder, files)

    def clean(self, benchmark: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Return the outcomes of clean examples.

        Raises:
            InputError: The report has no such benchmark, or does not have one of the examples.
        """
        name = _UNSAFE.sub("_", benchmark)
        if name not in self.files:
            raise InputError(
                f"the report has no benchmark {benchmark!r}",
                where=self.folder,
                why=f"It has: {', '.join(self.files)}",
                fix="Name it in the task's key decontaminated, or leave decontaminated out",
            )
        path = self.files[name]
        with storage.open_arrow(path) as file:
            table = pq.read_table(file, columns=["id", "dirty"])
        dirty = dict(zip(table["id"].to_pylist(), table["dirty"].to_pylist(), strict=True))
        found = []
        for outcome in outcomes:
            listed = outcome.part_of or outcome.id
            listed = listed if listed in dirty else outcome.place
            if listed not in dirty:
                raise InputError(
                    f"the report does not know the example {outcome.id!r} ({outcome.place})",
                    where=path,
                    why="It was made from other files",
                    fix="Give the recipe of the build the files that are evaluated on",
                )
            if not dirty[listed]:
                found.append(outcome)
        return found
