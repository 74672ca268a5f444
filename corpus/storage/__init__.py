"""Local paths and remote URLs behind one set of functions; the only place that opens files.

A path is a string: a local path, or a URL that fsspec knows (`s3://`, `gs://`, `memory://`).
A file has its final name only when it is whole (`publish`): readers never see half of one, and a
process that is killed leaves only a temporary file, which `sweep` removes.
"""

from corpus.storage.folders import lock, make_folder, remove, sweep
from corpus.storage.listing import exists, find, list_folder, size, sizes, stamp
from corpus.storage.paths import (
    TEMPORARY_PREFIX,
    absolute_folder,
    is_remote,
    join,
    name,
    resolve,
)
from corpus.storage.publishing import link, publish, temporary_name, write_bytes, write_json
from corpus.storage.reading import (
    digest,
    local_copy,
    map_file,
    open_arrow,
    open_input,
    read_bytes,
    read_json,
    read_range,
)

__all__ = [
    "TEMPORARY_PREFIX",
    "absolute_folder",
    "digest",
    "exists",
    "find",
    "is_remote",
    "join",
    "link",
    "list_folder",
    "local_copy",
    "lock",
    "make_folder",
    "map_file",
    "name",
    "open_arrow",
    "open_input",
    "publish",
    "read_bytes",
    "read_json",
    "read_range",
    "remove",
    "resolve",
    "size",
    "sizes",
    "stamp",
    "sweep",
    "temporary_name",
    "write_bytes",
    "write_json",
]
