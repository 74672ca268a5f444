"""Earlier builds as indexes of dedup: each with the builds that it was checked against itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from corpus import storage
from corpus.build.record import BUILD, read_build
from corpus.errors import InputError, RecipeError

if TYPE_CHECKING:
    from corpus.dedup.index import Index


def open_indexes(folders: Sequence[str], output: str = "") -> list[Index]:
    """Return earlier builds as indexes of dedup, with the indexes that they were checked against.

    Args:
        folders: Their output folders; the order changes nothing but which of two like documents is
            named.
        output: The folder of the build that asks, which cannot be its own index.

    Raises:
        InputError: One is not there, or its stage dedup is not built.
        IntegrityError: One is damaged.
    """
    from corpus.dedup.index import open_index

    found: dict[str, Index] = {}
    waiting: list[tuple[str, str, str]] = [(_absolute(folder), "", "") for folder in folders]
    while waiting:
        folder, name, asked = waiting.pop(0)
        if name in found:
            continue
        if output and folder == _absolute(output):
            raise RecipeError(
                "a build cannot be its own index",
                where=f"dedup.index: {folder}",
                fix="Give the new snapshot an output folder of its own",
            )
        fix = "Name in dedup.index the folder that it lies in now" if asked else None
        if asked and not storage.exists(storage.join(folder, BUILD)):
            raise InputError(
                f"{asked} was checked against {name}, which is not there", where=folder, fix=fix
            )
        made = read_build(folder)
        index = open_index(folder, made.stage("extract"), made.stage("dedup"))
        if asked and index.name != name:
            raise InputError(
                f"{asked} was checked against {name}, and this build has {index.name} now",
                where=folder,
                fix=fix,
            )
        found[index.name] = index
        before = made.stage("dedup").summary.get("index", {})
        waiting += [(place, before_name, folder) for before_name, place in before.items()]
    return list(found.values())


def _absolute(folder: str) -> str:
    return (
        folder.rstrip("/") if storage.is_remote(folder) else storage.absolute_folder(folder + "/x")
    )
