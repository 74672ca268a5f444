"""Storage: files are whole or not there, on a disk and in an object store."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus import storage
from corpus.errors import InputError, OutputError
from corpus.storage.failures import cannot_write
from tests.object_store import BUCKET, environment, object_store


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Return the URL of a bucket."""
    with object_store() as variables, environment(variables):
        yield f"s3://{BUCKET}"


@pytest.fixture
def memory() -> Iterator[str]:
    """Return the URL of an empty folder in fsspec's store in memory, whose paths begin with /."""
    import fsspec

    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]
    yield "memory:///folder"
    filesystem.store.clear()


@pytest.fixture(params=["local", "memory", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return an empty folder of each kind."""
    if request.param == "local":
        return str(tmp_path)
    url: str = request.getfixturevalue(request.param)
    return f"{url}/{tmp_path.name}"


def names(folder: str | Path) -> list[str]:
    return storage.list_folder(str(folder))


# --- the same for every kind of storage


def test_published_file_has_its_bytes_and_leaves_nothing_else(folder: str) -> None:
    path = f"{folder}/deep/er/file.bin"
    with storage.publish(path) as temporary:
        temporary.write_bytes(b"whole")
        assert not storage.exists(path)
    assert storage.read_bytes(path) == b"whole"
    assert names(f"{folder}/deep/er") == ["file.bin"]
    assert storage.size(path) == 5
    assert storage.digest(path) == (5, hashlib.sha256(b"whole").hexdigest())


def test_publishing_again_replaces_the_file_and_changes_its_stamp(folder: str) -> None:
    path = f"{folder}/file.bin"
    storage.write_bytes(path, b"old")
    before = storage.stamp(path)
    assert storage.stamp(path) == before
    storage.write_bytes(path, b"newer")
    assert storage.read_bytes(path) == b"newer"
    assert storage.stamp(path) != before


def test_reader_of_the_file_before_goes_on_reading_that(tmp_path: Path) -> None:
    """The new file takes the name; nothing is written into the old one."""
    path = tmp_path / "file.bin"
    path.write_bytes(b"the old bytes")
    with path.open("rb", buffering=0) as reader:
        assert reader.read(4) == b"the "
        storage.write_bytes(str(path), b"the new ones")
        assert reader.read() == b"old bytes"
    assert path.read_bytes() == b"the new ones"


def test_error_while_publishing_leaves_the_old_file_and_no_other(folder: str) -> None:
    path = f"{folder}/file.bin"
    storage.write_bytes(path, b"old")

    def half() -> None:
        with storage.publish(path) as temporary:
            temporary.write_bytes(b"half of th")
            raise KeyError("in the middle")

    with pytest.raises(KeyError):
        half()
    assert storage.read_bytes(path) == b"old"
    assert names(folder) == ["file.bin"]


def test_json_comes_back_and_equal_values_are_equal_bytes(folder: str) -> None:
    storage.write_json(f"{folder}/a.json", {"b": [1, None], "a": "é"})
    storage.write_json(f"{folder}/b.json", {"a": "é", "b": [1, None]})
    assert storage.read_json(f"{folder}/a.json") == {"a": "é", "b": [1, None]}
    assert storage.read_bytes(f"{folder}/a.json") == storage.read_bytes(f"{folder}/b.json")


def test_json_that_is_damaged_is_an_input_error(folder: str) -> None:
    storage.write_bytes(f"{folder}/a.json", b'{"a": ')
    with pytest.raises(InputError, match="not valid JSON"):
        storage.read_json(f"{folder}/a.json")


def test_find_returns_files_that_match_sorted_and_no_folders(folder: str) -> None:
    for name in ["b.txt", "a.txt", "a.bin", "in/c.txt", "in/deep/d.txt", "x.txt/file"]:
        storage.write_bytes(f"{folder}/{name}", b".")
    assert storage.find(f"{folder}/*.txt") == [f"{folder}/a.txt", f"{folder}/b.txt"]
    assert storage.find(f"{folder}/?.bin") == [f"{folder}/a.bin"]
    assert storage.find(f"{folder}/[b]*") == [f"{folder}/b.txt"]
    assert storage.find(f"{folder}/a.txt") == [f"{folder}/a.txt"]
    assert storage.find(f"{folder}/none*") == []
    assert storage.find(f"{folder}/none") == []
    assert storage.find(f"{folder}/in") == []
    assert storage.find(f"{folder}/**/*.txt") == [
        f"{folder}/{name}" for name in ["a.txt", "b.txt", "in/c.txt", "in/deep/d.txt"]
    ]


def test_find_takes_a_name_with_brackets_as_it_is(folder: str) -> None:
    storage.write_bytes(f"{folder}/page[1].txt", b".")
    assert storage.find(f"{folder}/page[1].txt") == [f"{folder}/page[1].txt"]


def test_list_folder_sees_what_has_just_been_written(folder: str) -> None:
    assert names(folder) == []
    storage.write_bytes(f"{folder}/b", b".")
    storage.write_bytes(f"{folder}/a/x", b".")
    assert names(folder) == ["a", "b"]
    storage.write_bytes(f"{folder}/c", b".")
    assert names(folder) == ["a", "b", "c"]


def test_objects_of_another_client_are_seen_at_once(s3: str) -> None:
    import fsspec

    folder = f"{s3}/seen"
    storage.write_bytes(f"{folder}/a", b".")
    assert names(folder) == ["a"]
    assert storage.find(f"{folder}/*") == [f"{folder}/a"]
    other = fsspec.filesystem("s3", skip_instance_cache=True)
    other.pipe_file(f"{folder}/b", b".")
    assert names(folder) == ["a", "b"]
    assert storage.find(f"{folder}/*") == [f"{folder}/a", f"{folder}/b"]


def test_missing_file_is_an_input_error_that_names_it(folder: str) -> None:
    path = f"{folder}/none.bin"
    for act in (storage.read_bytes, storage.size, storage.stamp, storage.digest):
        with pytest.raises(InputError, match="no such file") as caught:
            act(path)
        assert caught.value.where == path
    assert not storage.exists(path)


def test_removing_takes_files_and_whole_folders_and_minds_nothing_missing(folder: str) -> None:
    for name in ["a/x", "a/y/z", "b"]:
        storage.write_bytes(f"{folder}/{name}", b".")
    storage.remove(f"{folder}/a")
    assert names(folder) == ["b"]
    storage.remove(f"{folder}/b")
    storage.remove(f"{folder}/b")
    assert not storage.exists(f"{folder}/b")


def test_link_gives_the_same_bytes_another_name(folder: str) -> None:
    storage.write_bytes(f"{folder}/a/x", b"bytes")
    storage.link(f"{folder}/a/x", f"{folder}/b/y")
    storage.remove(f"{folder}/a/x")
    assert storage.read_bytes(f"{folder}/b/y") == b"bytes"
    assert names(f"{folder}/b") == ["y"]


@pytest.mark.parametrize("to", ["remote", "local"])
def test_link_between_kinds_of_storage_copies(memory: str, tmp_path: Path, to: str) -> None:
    ends = [f"{tmp_path}/x", f"{memory}/x"]
    source, target = ends if to == "remote" else reversed(ends)
    storage.write_bytes(source, b"bytes")
    storage.link(source, target)
    assert storage.read_bytes(target) == b"bytes"


def test_local_copy_has_the_bytes_and_goes_away_when_it_is_a_copy(folder: str) -> None:
    path = f"{folder}/file.bin"
    storage.write_bytes(path, b"bytes")
    with storage.local_copy(path) as local:
        assert local.read_bytes() == b"bytes"
    assert local.exists() is not storage.is_remote(path)


def test_parquet_is_read_in_place(folder: str) -> None:
    """The readers of documents seek in what `open_input` returns."""
    table = pa.table({"a": list(range(1000))})
    with storage.publish(f"{folder}/t.parquet") as temporary:
        pq.write_table(table, temporary)
    with storage.open_input(f"{folder}/t.parquet") as file:
        assert pq.read_table(file) == table


# --- paths


@pytest.mark.parametrize(
    ("folder", "parts", "path"),
    [
        ("a", ("b", "c"), "a/b/c"),
        ("a/", ("b",), "a/b"),
        ("/", ("b",), "/b"),
        ("", ("b",), "b"),
        ("s3://bucket/x/", ("y",), "s3://bucket/x/y"),
        ("a", (), "a"),
    ],
)
def test_join(folder: str, parts: tuple[str, ...], path: str) -> None:
    assert storage.join(folder, *parts) == path


def test_name_is_the_last_component() -> None:
    assert [storage.name(p) for p in ("a/b", "a/b/", "s3://x/y.gz", "c")] == ["b", "b", "y.gz", "c"]


def test_remote_paths_are_told_by_their_scheme(tmp_path: Path) -> None:
    assert [storage.is_remote(p) for p in ("s3://a", "gs://a", "/a", "file:///a")] == [
        True,
        True,
        False,
        False,
    ]
    storage.write_bytes(f"file://{tmp_path}/x", b"bytes")
    assert (tmp_path / "x").read_bytes() == b"bytes"
    assert storage.read_bytes(f"file://{tmp_path}/x") == b"bytes"


# --- what goes wrong on a disk

KILLED = """
import os, sys
from corpus import storage
with storage.publish(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half")
    print("written", flush=True)
    sys.stdin.read()
"""


def test_process_killed_while_publishing_leaves_no_file_and_sweep_removes_the_rest(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a" / "file.bin"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"written\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
    left = names(path.parent)
    assert len(left) == 1
    assert left[0].startswith(storage.TEMPORARY_PREFIX)
    (tmp_path / "kept.bin").write_bytes(b"whole")
    storage.sweep(str(tmp_path))
    assert names(path.parent) == []
    assert names(tmp_path) == ["a", "kept.bin"]


def test_temporary_file_that_a_killed_process_of_the_same_number_left_is_not_written_through(
    tmp_path: Path,
) -> None:
    """It may be a second name of a finished file: writing into it would change both."""
    finished = tmp_path / "finished"
    finished.write_bytes(b"finished")
    os.link(finished, tmp_path / storage.temporary_name("new"))
    storage.write_bytes(str(tmp_path / "new"), b"new")
    storage.write_bytes(str(tmp_path / "source"), b"source")
    os.link(finished, tmp_path / storage.temporary_name("linked"))
    storage.link(str(tmp_path / "source"), str(tmp_path / "linked"))
    assert finished.read_bytes() == b"finished"
    assert (tmp_path / "new").read_bytes() == b"new"
    assert (tmp_path / "linked").read_bytes() == b"source"


def test_output_below_a_file_is_an_output_error_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError) as caught:
        storage.write_bytes(str(tmp_path / "file" / "x"), b"")
    assert caught.value.where is not None
    assert caught.value.where.startswith(str(tmp_path / "file"))
    assert "Choose a folder that you may write to" in str(caught.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
@pytest.mark.parametrize("path", ["out/file", "s3://store/file"])
def test_what_cannot_be_written_is_told_in_words_that_fit_every_verb(
    number: int, path: str
) -> None:
    """A training writes where its recipe says: it has no --output, and others have --to."""
    told = str(cannot_write(path, OSError(number, os.strerror(number))))
    assert told.startswith(f"{path}: the output cannot be written. {os.strerror(number)}. ")
    assert "--" not in told


def test_output_in_a_folder_that_takes_no_files_is_an_output_error() -> None:
    """Nobody may make files in /sys, not even root."""
    with pytest.raises(OutputError) as caught:
        storage.write_bytes("/sys/file", b"")
    assert caught.value.where == "/sys/file"
    assert "Choose a folder that you may write to" in str(caught.value)


LIMITED = """
import resource, signal, sys
from corpus import storage
from corpus.errors import OutputError
import pyarrow as pa, pyarrow.parquet as pq
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
table = pa.table({"a": pa.array(range(100_000))})
def plain(path): storage.write_bytes(path, bytes(10_000))
def parquet(path):
    with storage.publish(path) as temporary:
        pq.write_table(table, temporary, compression="none")
for write in (plain, parquet):
    try:
        write(sys.argv[1] + "/big")
    except OutputError as error:
        print(error)
"""


def test_file_over_the_limit_of_its_size_is_an_output_error_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert found.stdout.count(f"{tmp_path}/big: the output cannot be written") == 2, found.stdout
    assert "File too large" in found.stdout
    assert names(tmp_path) == []


def test_full_disk_is_an_output_error_that_says_to_free_space(tmp_path: Path) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    ).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        path = str(tmp_path / "big")
        with pytest.raises(OutputError) as caught:
            storage.write_bytes(path, bytes(1 << 20))
        assert caught.value.where == path
        assert "No space left on device" in str(caught.value)
        assert "Free some space" in str(caught.value)
        noise = random.Random(0).randbytes(1 << 20)
        table = pa.table({"a": [noise[i : i + 64] for i in range(0, 1 << 20, 64)]})

        def parquet() -> None:
            with storage.publish(path) as temporary:
                pq.write_table(table, temporary)

        with pytest.raises(OutputError, match="Free some space"):
            parquet()
        assert names(tmp_path) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_error_that_is_not_of_writing_comes_through_as_it_is(folder: str) -> None:
    def broken() -> None:
        with storage.publish(f"{folder}/x"):
            raise OSError(errno.ECONNRESET, "the other side hung up")

    with pytest.raises(ConnectionResetError):
        broken()


def test_publishing_without_writing_is_an_error_and_not_an_empty_file(tmp_path: Path) -> None:
    def nothing() -> None:
        with storage.publish(str(tmp_path / "x")):
            pass

    with pytest.raises(FileNotFoundError):
        nothing()
    assert names(tmp_path) == []


def test_folder_in_place_of_a_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        storage.read_bytes(str(tmp_path))


# --- the lock

HOLDS = """
import sys
from corpus import storage
with storage.lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_second_build_in_a_folder_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    folder = str(tmp_path / "out")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with (
            pytest.raises(OutputError, match="another run is at work") as caught,
            storage.lock(folder),
        ):
            pass
        assert caught.value.where == folder
        child.kill()
    with storage.lock(folder), storage.lock(str(tmp_path / "other")):
        pass
    with storage.lock(folder):
        pass


def test_lock_below_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError), storage.lock(str(tmp_path / "file")):
        pass


# --- what goes wrong with a store


def test_unknown_scheme_is_an_input_error_that_names_known_ones() -> None:
    with pytest.raises(InputError, match="kind of URL is not known") as caught:
        storage.read_bytes("abc://x/y")
    assert "s3://" in str(caught.value)


def test_scheme_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def missing(*arguments: object, **settings: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(InputError, match=r"pip install 'corpusmill\[s3\]'"):
        storage.read_bytes("s3://x/y")


def test_bucket_that_is_not_there_is_an_error_with_the_url(s3: str) -> None:
    path = "s3://no-such-bucket-here/x"
    with pytest.raises(InputError) as caught:
        storage.read_bytes(path)
    assert caught.value.where == path
    with pytest.raises(OutputError) as written:
        storage.write_bytes(path, b"x")
    assert written.value.where == path
    assert "NoSuchBucket" in str(written.value) or "does not exist" in str(written.value)
    assert storage.find("s3://no-such-bucket-here/*") == []


@pytest.mark.parametrize("act", ["read", "write", "find", "exists", "list"])
def test_store_without_credentials_or_that_does_not_answer_is_an_error_with_the_url(
    s3: str, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    path = f"{s3}/x"
    acts = {
        "read": storage.read_bytes,
        "write": lambda path: storage.write_bytes(path, b"x"),
        "find": lambda path: storage.find(f"{path}/*"),
        "exists": storage.exists,
        "list": storage.list_folder,
    }
    kind = OutputError if act == "write" else InputError
    config = {"aws_endpoint_url": "http://127.0.0.1:1", "aws_max_attempts": "1"}
    for name, value in config.items():
        monkeypatch.setenv(name.upper(), value)
    with environment({}), pytest.raises(kind) as caught:
        acts[act](path)
    assert caught.value.where is not None
    assert caught.value.where.startswith(path)
    monkeypatch.undo()
    with environment({}):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", "/nonexistent")
        with pytest.raises(kind, match=r"(?i)credentials"):
            acts[act](path)


def test_name_of_a_web_address_is_that_of_its_path() -> None:
    assert storage.name("https://host.example/a/b%20c.warc.gz?sig=1/2#x") == "b c.warc.gz"
    assert storage.name("s3://bucket/a?b/c.jsonl") == "c.jsonl"
    assert storage.name("/a/what?.jsonl") == "what?.jsonl"


def test_names_of_two_machines_do_not_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for node in ("one", "two"):
        monkeypatch.setattr("platform.node", lambda node=node: node)
        names.append(storage.temporary_name("part.parquet"))
    assert names[0] != names[1]
    assert all(name.startswith(storage.TEMPORARY_PREFIX) for name in names)
