"""Token shards: bytes of the format, round trips, damage, streams over shards, documents tables."""

from __future__ import annotations

import itertools
import pickle
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import CorpusError, InputError, IntegrityError
from corpus.tokenize import shard_writer, shards
from corpus.tokenize.document_table import (
    DOCUMENT_TABLE_SCHEMA,
    DocumentTable,
    write_document_table,
)
from corpus.tokenize.shards import ShardWriter, TokenShard, TokenStream

DOCUMENTS = [[5, 6, 7], [], [50256], [1, 2]]


def write(prefix: Path, documents: list[list[int]], vocabulary_size: int = 50257) -> TokenShard:
    with ShardWriter(prefix, vocabulary_size=vocabulary_size) as writer:
        for document in documents:
            writer.write_document(np.array(document, dtype=np.uint32))
    return TokenShard(prefix)


def golden_index(code: int, itemsize: int) -> bytes:
    """Return the index of DOCUMENTS, field by field, as Megatron-LM's _IndexWriter writes it."""
    return (
        b"MMIDIDX\x00\x00"
        + struct.pack("<Q", 1)
        + struct.pack("<B", code)
        + struct.pack("<Q", 4)
        + struct.pack("<Q", 5)
        + struct.pack("<4i", 3, 0, 1, 2)
        + struct.pack("<4q", 0, 3 * itemsize, 3 * itemsize, 4 * itemsize)
        + struct.pack("<5q", 0, 1, 2, 3, 4)
    )


@pytest.mark.parametrize(
    ("vocabulary_size", "code", "kind"),
    [(50257, 8, "H"), (65499, 8, "H"), (65500, 4, "i"), (128256, 4, "i")],
)
def test_writer_gives_the_bytes_of_megatron(
    vocabulary_size: int, code: int, kind: str, tmp_path: Path
) -> None:
    write(tmp_path / "a", DOCUMENTS, vocabulary_size)
    assert (tmp_path / "a.bin").read_bytes() == struct.pack(f"<6{kind}", 5, 6, 7, 50256, 1, 2)
    assert (tmp_path / "a.idx").read_bytes() == golden_index(code, struct.calcsize(kind))


def test_writer_without_documents_gives_an_empty_shard(tmp_path: Path) -> None:
    shard = write(tmp_path / "a", [])
    assert (tmp_path / "a.idx").read_bytes() == (
        b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, 0, 1) + struct.pack("<q", 0)
    )
    assert (len(shard), shard.tokens_total, shard.tokens.size) == (0, 0, 0)
    assert shard.document_offsets.tolist() == [0]
    shard.verify(vocabulary_size=50257)


def test_shard_of_empty_documents_can_be_read(tmp_path: Path) -> None:
    shard = write(tmp_path / "a", [[], []])
    assert (len(shard), shard.tokens_total) == (2, 0)
    assert shard.document_offsets.tolist() == [0, 0, 0]
    shard.verify(vocabulary_size=50257)


@given(
    st.lists(st.lists(st.integers(0, 50256), max_size=20), max_size=30),
    st.sampled_from([50257, 100_000]),
)
def test_shard_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, documents: list[list[int]], vocabulary_size: int
) -> None:
    shard = write(tmp_path_factory.mktemp("shard") / "a", documents, vocabulary_size)
    offsets = shard.document_offsets
    assert [shard.tokens[a:b].tolist() for a, b in itertools.pairwise(offsets)] == (documents)
    assert shard.tokens_total == sum(map(len, documents))
    shard.verify(vocabulary_size=vocabulary_size)


def test_writer_many_documents_cross_the_chunks_of_the_index(tmp_path: Path) -> None:
    count = 2 * shard_writer.CHUNK + 7
    documents = [[n % 7] * (n % 3) for n in range(count)]
    shard = write(tmp_path / "a", documents)
    shard.verify(vocabulary_size=7)
    assert len(shard) == count
    assert np.diff(shard.document_offsets).tolist() == [n % 3 for n in range(count)]


@pytest.mark.parametrize("token", [-1, 50257, 70_000])
def test_writer_id_outside_the_vocabulary_is_refused(token: int, tmp_path: Path) -> None:
    """A larger id would wrap around in uint16 and become another token."""
    with (
        pytest.raises(InputError, match=f"token {token} is outside"),
        ShardWriter(tmp_path / "a", vocabulary_size=50257) as writer,
    ):
        writer.write_document(np.array([3, token], dtype=np.int64))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tokens", [np.zeros((2, 2), dtype=np.int32), np.zeros(3)])
def test_writer_what_is_not_a_row_of_integers_is_refused(
    tokens: np.ndarray, tmp_path: Path
) -> None:
    with (
        pytest.raises(TypeError, match="one row of integers"),
        ShardWriter(tmp_path / "a", vocabulary_size=9) as writer,
    ):
        writer.write_document(tokens)


def test_publish_shows_both_files_or_none(tmp_path: Path) -> None:
    prefix = str(tmp_path / "folder" / "part-0")
    with (
        pytest.raises(InputError, match="token 9 is outside"),
        shards.publish(prefix, vocabulary_size=9) as writer,
    ):
        writer.write_document(np.array([1, 9]))
    assert list((tmp_path / "folder").iterdir()) == []
    with shards.publish(prefix, vocabulary_size=9) as writer:
        writer.write_document(np.array([1, 2]))
        assert not Path(f"{prefix}.bin").exists()
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == [
        "part-0.bin",
        "part-0.idx",
    ]
    assert TokenShard(prefix).tokens.tolist() == [1, 2]


def patch(path: Path, offset: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)


@pytest.mark.parametrize("size", [0, 9, 33, 34, 60, -1])
def test_shard_truncated_index_is_refused(size: int, tmp_path: Path) -> None:
    write(tmp_path / "a", DOCUMENTS)
    content = (tmp_path / "a.idx").read_bytes()
    (tmp_path / "a.idx").write_bytes(content[:size])
    with pytest.raises(IntegrityError, match=r"a\.idx: .*corpus check"):
        TokenShard(tmp_path / "a")


@pytest.mark.parametrize(
    ("offset", "data", "why"),
    [
        (0, b"X", "header of an index"),
        (9, struct.pack("<Q", 2), "version is 2"),
        (17, b"\x07", "dtype code 7"),
        (17, b"\x00", "dtype code 0"),
        (18, struct.pack("<Q", 5), "its header says"),
        (18, struct.pack("<Q", 1 << 62), "its header says"),
        (26, struct.pack("<Q", 4), "its header says"),
        (34 + 12, struct.pack("<i", 9), "its index says"),
        (17, b"\x04", "its index says"),
    ],
)
def test_shard_damaged_index_is_refused(offset: int, data: bytes, why: str, tmp_path: Path) -> None:
    write(tmp_path / "a", DOCUMENTS)
    patch(tmp_path / "a.idx", offset, data)
    with pytest.raises(IntegrityError, match=why):
        TokenShard(tmp_path / "a")


@pytest.mark.parametrize("change", [b"", b"\x00", b"\x00\x00\x00"])
def test_shard_short_or_long_payload_is_refused(change: bytes, tmp_path: Path) -> None:
    write(tmp_path / "a", DOCUMENTS)
    content = (tmp_path / "a.bin").read_bytes()
    (tmp_path / "a.bin").write_bytes(content[:-2] + change)
    with pytest.raises(IntegrityError, match=r"a\.bin: .*its index says 12"):
        TokenShard(tmp_path / "a")


@pytest.mark.parametrize("suffix", [".bin", ".idx"])
def test_shard_missing_file_is_refused(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / "a", DOCUMENTS)
    (tmp_path / f"a{suffix}").unlink()
    with pytest.raises(CorpusError, match=f"a{suffix}: there is no such file"):
        TokenShard(tmp_path / "a")


@pytest.mark.parametrize(
    ("offset", "data", "why"),
    [
        (34, struct.pack("<2i", 4, -1), "do not agree"),
        (34, struct.pack("<2i", 2, 1), "do not agree"),
        (34 + 16 + 8, struct.pack("<q", 2), "do not agree"),
        (34 + 16 + 32, struct.pack("<q", 1), "do not ascend"),
        (34 + 16 + 32 + 8, struct.pack("<q", 4), "do not ascend"),
    ],
)
def test_verify_finds_damage_inside_the_index(
    offset: int, data: bytes, why: str, tmp_path: Path
) -> None:
    write(tmp_path / "a", DOCUMENTS)
    patch(tmp_path / "a.idx", offset, data)
    with pytest.raises(IntegrityError, match=why):
        TokenShard(tmp_path / "a").verify(vocabulary_size=50257)


def test_verify_finds_ids_outside_the_vocabulary(tmp_path: Path) -> None:
    shard = write(tmp_path / "a", DOCUMENTS)
    with pytest.raises(IntegrityError, match="outside the vocabulary of 50,256"):
        shard.verify(vocabulary_size=50256)


def test_shard_of_several_sequences_a_document_is_read_by_documents(tmp_path: Path) -> None:
    """Megatron itself may write a document as several sequences; then D is smaller than S + 1."""
    (tmp_path / "a.bin").write_bytes(struct.pack("<4H", 1, 2, 3, 4))
    (tmp_path / "a.idx").write_bytes(
        b"MMIDIDX\x00\x00"
        + struct.pack("<QBQQ", 1, 8, 3, 3)
        + struct.pack("<3i", 1, 1, 2)
        + struct.pack("<3q", 0, 2, 4)
        + struct.pack("<3q", 0, 2, 3)
    )
    shard = TokenShard(tmp_path / "a")
    assert len(shard) == 2
    assert shard.document_offsets.tolist() == [0, 2, 4]


def test_shard_pickles_as_its_path(tmp_path: Path) -> None:
    shard = write(tmp_path / "a", [[7] * 10_000])
    assert shard.tokens[0] == 7
    assert len(pickle.dumps(shard)) < 500
    assert pickle.loads(pickle.dumps(shard)).tokens.tolist() == [7] * 10_000


SPLITS = st.lists(st.integers(0, 9), min_size=1, max_size=8)


@given(SPLITS, st.data())
def test_stream_reads_across_shards(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("stream")
    whole = list(range(sum(sizes)))
    parts, at = [], 0
    for number, size in enumerate(sizes):
        parts.append(write(folder / str(number), [whole[at : at + size]]))
        at += size
    stream = TokenStream(parts)
    assert len(stream) == len(whole)
    start = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, len(whole) - start))
    assert stream.read(start, length).tolist() == whole[start : start + length]
    starts = np.arange(max(len(whole) - 2, 0))
    assert stream.gather(starts, 3).tolist() == [whole[n : n + 3] for n in starts]
    for token in whole:
        shard, offset = stream.place(token)
        assert parts[shard].tokens[offset] == token


def test_stream_read_outside_raises(tmp_path: Path) -> None:
    stream = TokenStream([write(tmp_path / "a", [[1, 2, 3]])])
    for start, length in ((-1, 1), (0, 4), (3, 1), (1, -1)):
        with pytest.raises(IndexError):
            stream.read(start, length)
    for token in (-1, 3):
        with pytest.raises(IndexError):
            stream.place(token)
    assert len(TokenStream([])) == 0


def test_stream_of_two_dtypes_is_refused(tmp_path: Path) -> None:
    parts = [write(tmp_path / "a", [[1]], 9), write(tmp_path / "b", [[1]], 70_000)]
    with pytest.raises(IntegrityError, match="two kinds"):
        TokenStream(parts)


def test_document_table_finds_documents_by_token_and_by_id(tmp_path: Path) -> None:
    path = tmp_path / "part.documents.parquet"
    write_document_table(path, ["a", "b", "c", "a"], [3, 0, 1, 2])
    assert pq.read_schema(path).equals(DOCUMENT_TABLE_SCHEMA)
    table = DocumentTable(path)
    assert table.ids_at(np.arange(6)) == ["a", "a", "a", "c", "a", "a"]
    assert table.ranges("a") == [(0, 3), (4, 6)]
    assert table.ranges("b") == [(3, 3)]
    assert table.ranges("z") == []
    for token in (-1, 6):
        with pytest.raises(IndexError):
            table.ids_at(np.array([token]))


def test_document_table_agrees_with_its_shard(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "a", vocabulary_size=50257) as writer:
        for document in DOCUMENTS:
            writer.write_document(np.array(document, dtype=np.uint32))
    write_document_table(tmp_path / "t.parquet", pa.array(list("wxyz")), writer.lengths)
    table = DocumentTable(tmp_path / "t.parquet")
    offsets = TokenShard(tmp_path / "a").document_offsets
    assert table.starts.tolist() == offsets[:-1].tolist()
    assert (table.starts + table.lengths).tolist() == offsets[1:].tolist()


def test_document_table_without_rows_can_be_read(tmp_path: Path) -> None:
    write_document_table(tmp_path / "t.parquet", [], [])
    table = DocumentTable(tmp_path / "t.parquet")
    assert len(table) == 0
    assert table.ids_at(np.empty(0, dtype=np.int64)) == []
    assert table.ranges("a") == []


def test_document_table_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_document_table(tmp_path / name, ["x", "y"], [1, 2])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_document_table_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 not parquet PAR1")
    with pytest.raises(IntegrityError, match="documents table is damaged"):
        DocumentTable(path)
    rows = {"id": ["a", "b"], "start": [0, 9], "length": [3, 1]}
    pq.write_table(pa.table(rows, schema=DOCUMENT_TABLE_SCHEMA), path)
    with pytest.raises(IntegrityError, match="do not follow"):
        DocumentTable(path)


def test_stream_open_checks_the_number_of_tokens(tmp_path: Path) -> None:
    prefixes = [write(tmp_path / "a", [[1, 2]]).prefix, write(tmp_path / "b", [[3]]).prefix]
    assert TokenStream.open(prefixes, [2, 1]).read(0, 3).tolist() == [1, 2, 3]
    with pytest.raises(IntegrityError, match="has 1 tokens, and not 2"):
        TokenStream.open(prefixes, [2, 2])


def test_shard_remote_path_is_refused() -> None:
    with pytest.raises(InputError, match="from local files"):
        TokenShard("s3://bucket/part-0")


def test_documents_at_once_are_the_bytes_of_documents_one_by_one(tmp_path: Path) -> None:
    documents = [[3, 1], [], [7], [1, 2, 3, 4], []]
    ids = np.array([token for document in documents for token in document], dtype=np.uint32)
    ends = np.cumsum([len(document) for document in documents], dtype=np.int64)
    for size in (10, 70_000):  # uint16 and int32
        one, many = tmp_path / f"one-{size}", tmp_path / f"many-{size}"
        with ShardWriter(one, vocabulary_size=size) as writer:
            for document in documents:
                writer.write_document(np.array([*document, 9], dtype=np.uint32))
        with ShardWriter(many, vocabulary_size=size) as writer:
            writer.write_documents(ids[:3], ends[:3], 9)
            writer.write_documents(ids[3:], ends[3:] - 3, 9)
            writer.write_documents(ids[:0], ends[:0], 9)
        assert writer.tokens_total == len(ids) + len(documents)
        for suffix in (".bin", ".idx"):
            assert Path(f"{many}{suffix}").read_bytes() == Path(f"{one}{suffix}").read_bytes()
    with (
        pytest.raises(InputError, match="token 7 is outside the vocabulary"),
        ShardWriter(tmp_path / "small", vocabulary_size=7) as writer,
    ):
        writer.write_documents(ids, ends, 6)
