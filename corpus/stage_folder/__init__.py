"""One stage's output folder: what is in it already, what is left to do, and how it is finished.

A task names its shard and carries a key: the digest of all that its outputs depend on. A shard is
not made again when this folder holds it (after an interruption) or when another folder of the same
stage does (after a change of the recipe that does not touch it): then its files are linked.
"""

from corpus.stage_folder.folder import StageFolder, make, used
from corpus.stage_folder.shards import RECEIPTS, Task, describe_output, is_elsewhere, shards_in

__all__ = [
    "RECEIPTS",
    "StageFolder",
    "Task",
    "describe_output",
    "is_elsewhere",
    "make",
    "shards_in",
    "used",
]
