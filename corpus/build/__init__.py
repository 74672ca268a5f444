"""The stages in order: what is done, what is left, and where it lies.

`build.json` in the output folder names the stage folders that make up the current build. Earlier
folders stay beside them until `corpus clean`.
"""

from corpus.build.indexes import open_indexes
from corpus.build.record import (
    BUILD,
    STAGES,
    VERDICTS,
    Build,
    default_output,
    read_build,
    sections,
)
from corpus.build.run import build, describe

__all__ = [
    "BUILD",
    "STAGES",
    "VERDICTS",
    "Build",
    "build",
    "default_output",
    "describe",
    "open_indexes",
    "read_build",
    "sections",
]
