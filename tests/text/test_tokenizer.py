"""The tokenizer: parity with GPT-2, round trips, hostile text, vocabulary files."""

from __future__ import annotations

import base64
import copy
import hashlib
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regex
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import InputError, IntegrityError
from corpus.text import tokenizer
from corpus.text.tokenizer import Tokenizer
from corpus.text.vocabulary import GPT2_SPLIT

GPT2 = tokenizer.load("gpt2")
RANKS = {
    base64.b64decode(line.split()[0]): int(line.split()[1])
    for line in (Path(tokenizer.__file__).parent / "gpt2.tiktoken").read_bytes().splitlines()
}
SPLIT = regex.compile(GPT2_SPLIT)
NASTY = [
    *"aZé'sdmtlvreßж漢字日本語がけ١٢٣½Ⅷ0129",
    *" \t\n\r\v\f\u00a0\u1680\u2003\u2028\u202f\u3000\x1c\x1f\x85\u200b\ufeff\u00ad",
    *"\x00\x7f\u0301\u0e33\u0f3f\U0001f600\U0001f468\u200d\ufffd\U0010ffff\ue000",
    *"'’\"<|>_-—….,!?#@€$%^&*()[]{}\\/`~",
    "<|endoftext|>",
    *("'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL"),
    *("It's", "we'll", "they've", "I'd've", "you're", "don't", "I'm", "x'"),
    " 's",
    "   ",
    "hello",
    " world",
    "http://",
    "\r\n",
    "aaaa",
    "====",
]


def merge(piece: bytes, ranks: dict[bytes, int]) -> list[int]:
    """Merge a piece as GPT-2's encoder.py does: again and again the pair of the lowest rank."""
    parts = [bytes([byte]) for byte in piece]
    while len(parts) > 1:
        best = min(
            itertools.pairwise(parts), key=lambda pair: ranks.get(pair[0] + pair[1], 1 << 40)
        )
        if best[0] + best[1] not in ranks:
            break
        merged: list[bytes] = []
        index = 0
        while index < len(parts):
            if tuple(parts[index : index + 2]) == best:
                merged.append(best[0] + best[1])
                index += 2
            else:
                merged.append(parts[index])
                index += 1
        parts = merged
    return [ranks[part] for part in parts]


def reference(text: str) -> list[int]:
    return [token for piece in SPLIT.findall(text) for token in merge(piece.encode(), RANKS)]


def encode(text: str) -> list[int]:
    return GPT2.encode([text])[0].tolist()


def test_attributes_are_those_of_gpt2() -> None:
    assert GPT2.name == "gpt2"
    assert GPT2.vocabulary_size == 50257
    assert GPT2.end_of_text == 50256
    packaged = (Path(tokenizer.__file__).parent / "gpt2.tiktoken").read_bytes()
    assert GPT2.digest == hashlib.sha256(packaged).hexdigest()


def test_encode_known_texts_gives_published_ids() -> None:
    """Ids that OpenAI publishes for these words (tiktoken's README and tests, r50k_base)."""
    assert encode("hello world") == [31373, 995]
    assert encode("Hello, I'm a language model,") == [15496, 11, 314, 1101, 257, 3303, 2746, 11]
    assert encode("") == []


@given(st.lists(st.sampled_from(NASTY), max_size=40).map("".join))
def test_encode_nasty_strings_equals_the_reference(text: str) -> None:
    assert encode(text) == reference(text)


def test_encode_long_random_strings_equals_the_reference() -> None:
    random_ = random.Random(7)
    for length in (200, 800):
        for _ in range(10):
            text = "".join(random_.choices(NASTY, k=length))
            assert encode(text) == reference(text)


@given(st.text(max_size=200))
def test_decode_undoes_encode(text: str) -> None:
    assert GPT2.decode(encode(text)) == text


def test_encode_special_text_stays_plain_text() -> None:
    tokens = encode("a<|endoftext|>b")
    assert GPT2.end_of_text not in tokens
    assert tokens == reference("a<|endoftext|>b")
    assert GPT2.decode([GPT2.end_of_text]) == "<|endoftext|>"


@pytest.mark.parametrize(
    ("text", "repaired"),
    [("\ud800a", "\ufffda"), ("a\udfff", "a\ufffd"), ("\ud83d\ude00", "\U0001f600")],
)
def test_encode_lone_surrogates_are_repaired(text: str, repaired: str) -> None:
    assert encode(text) == reference(repaired)


@given(st.text(alphabet=st.characters(), max_size=50))
def test_encode_any_str_never_raises(text: str) -> None:
    (tokens,) = GPT2.encode([text])
    assert tokens.dtype == np.uint32


@pytest.mark.parametrize("run", ["a", "\u00a0", " ", "-", "1", "\n", "\U0001f600", "ab", "a "])
def test_encode_a_megabyte_of_one_thing_round_trips(run: str) -> None:
    """No stack to overflow and no quadratic time: a megabyte without spaces takes a moment."""
    text = "x" + run * (1_000_000 // len(run)) + "y"
    assert GPT2.decode(encode(text)) == text


@pytest.mark.parametrize("white", ["\u00a0", "\n", " ", " \n", "\u2003", "\u3000", "\t"])
@pytest.mark.parametrize("before", ["", "x", "1 ", "'s"])
@pytest.mark.parametrize("after", ["", "x", "1", "!", "'s", "\x1cz", "\u00a0"])
def test_cut_pieces_give_the_ids_of_the_whole(
    white: str, before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs that the engine can still hold give the same ids when they are cut."""
    text = before + white * 300 + after + white * 3 + "y" + white * 500 + after
    whole = encode(text)
    short = regex.compile(tokenizer._LONG_RUN_END.pattern.replace(str(1 << 16), "64"), regex.DOTALL)
    monkeypatch.setattr(tokenizer, "_LONG_RUN_END", short)
    monkeypatch.setattr(tokenizer, "_LONG_RUN", 64)
    assert len(tokenizer.cut(text)) > 1
    assert "".join(tokenizer.cut(text)) == text
    assert encode(text) == whole


def test_cut_long_run_at_its_real_length_gives_the_reference_ids() -> None:
    text = "x" + "\u00a0" * 70_000 + "y"
    assert tokenizer.cut(text) == ["x" + "\u00a0" * 69_999, "\u00a0y"]
    # 16 no-break spaces are one token of GPT-2 (32 bytes), and merges start from the left.
    middle = merge(("\u00a0" * 16).encode(), RANKS)[:1] * (69_984 // 16)
    rest = merge(("\u00a0" * 15).encode(), RANKS)
    assert encode(text) == [*reference("x"), *middle, *rest, *reference("\u00a0y")]


def test_decode_unknown_token_is_refused() -> None:
    for tokens in ([0, 50257], [-1], np.array([70000], dtype=np.uint32)):
        with pytest.raises(InputError, match="not in the vocabulary gpt2"):
            GPT2.decode(tokens)


def test_decode_bytes_gives_parts_of_characters() -> None:
    tokens = encode("漢字")
    assert GPT2.decode_bytes(tokens[:1]) == "漢".encode()[: len(GPT2.decode_bytes(tokens[:1]))]
    assert GPT2.decode_bytes(np.array(tokens, dtype=np.uint16)) == "漢字".encode()
    assert GPT2.decode([]) == ""


def test_load_damaged_package_data_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "_GPT2_DIGEST", "0" * 64)
    with pytest.raises(IntegrityError, match="damaged"):
        tokenizer.load("gpt2")


SMALL = {token: rank for token, rank in RANKS.items() if rank < 2000}


def ranks_file(ranks: dict[bytes, int], path: Path) -> Path:
    lines = [base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items()]
    path.write_bytes(b"".join(lines))
    return path


def test_load_ranks_file_puts_end_of_text_after_the_ranks(tmp_path: Path) -> None:
    small = tokenizer.load(str(ranks_file(SMALL, tmp_path / "small.tiktoken")))
    assert (small.name, small.vocabulary_size, small.end_of_text) == ("small.tiktoken", 2001, 2000)
    (tokens,) = small.encode(["The quick brown fox 漢"])
    pieces = SPLIT.findall("The quick brown fox 漢")
    assert tokens.tolist() == [t for piece in pieces for t in merge(piece.encode(), SMALL)]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "256 of the 256 single bytes"),
        (b"IQ==\n", "Line 1"),
        (b"IQ== 0\n!!!! 1\n", "Line 2"),
        (b"IQ== 0\nIg== 0\n", "not 0, 1, 2"),
        (b"IQ== 0\nIQ== 1\n", "not 0, 1, 2"),
        (b"IQ== 0\nIg== 1\n", "254 of the 256 single bytes"),
    ],
)
def test_load_bad_ranks_file_says_why(data: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.tiktoken"
    path.write_bytes(data)
    with pytest.raises(InputError, match=why) as caught:
        tokenizer.load(str(path))
    assert str(path) in str(caught.value)


def test_ranks_with_gaps_need_the_ids_that_a_file_cannot_say(tmp_path: Path) -> None:
    """As a checkpoint keeps a tokenizer.json whose added tokens come first."""
    path = str(ranks_file({token: rank + 3 for token, rank in SMALL.items()}, tmp_path / "gaps"))

    loaded = tokenizer.load(path, end_of_text=1, size=2010)

    assert (loaded.end_of_text, loaded.vocabulary_size) == (1, 2010)
    assert loaded.decode_bytes(loaded.encode(["a fox"])[0]) == b"a fox"
    for end, size in ((3, 2010), (-1, 2010), (1, 2002), (1, 1 << 40)):
        with pytest.raises(InputError, match="have one id, or an id is out of range"):
            tokenizer.load(path, end_of_text=end, size=size)
    with pytest.raises(InputError, match="not 0, 1, 2"):
        tokenizer.load(path)


def alphabet() -> dict[int, str]:
    """Return GPT-2's printable character for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + n) for n, byte in enumerate(others)
    }


def tokenizer_json(first: int) -> dict[str, Any]:
    """Return a tokenizer.json of the first 2,000 GPT-2 ranks whose ids start at `first`."""
    to_text = alphabet()

    def spell(token: bytes) -> str:
        return "".join(to_text[byte] for byte in token)

    merges = []
    for token, rank in SMALL.items():
        if len(token) > 1:
            left, right = merge(token, {t: r for t, r in SMALL.items() if r < rank})
            names = {r: t for t, r in SMALL.items()}
            merges.append(f"{spell(names[left])} {spell(names[right])}")
    vocabulary = {spell(token): rank + first for token, rank in SMALL.items()}
    end = 0 if first else len(SMALL)
    return {
        "added_tokens": [{"id": end, "content": "<|endoftext|>", "special": True}],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "model": {
            "type": "BPE",
            "vocab": vocabulary | {"<|endoftext|>": end},
            "merges": merges,
            "dropout": None,
        },
    }


JSON = tokenizer_json(1)


def load_json(content: object, tmp_path: Path) -> Tokenizer:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    return tokenizer.load(str(path))


@pytest.mark.parametrize("pairs", [False, True])
def test_load_tokenizer_json_encodes_with_its_own_ids(pairs: bool, tmp_path: Path) -> None:
    content = copy.deepcopy(JSON)
    if pairs:  # the newer spelling of merges
        content["model"]["merges"] = [m.split(" ") for m in content["model"]["merges"]]
    loaded = load_json(content, tmp_path)
    assert (loaded.end_of_text, loaded.vocabulary_size) == (0, 2001)
    text = "It's the café's 漢字, isn't it?  \n<|endoftext|>"
    shifted = [t + 1 for piece in SPLIT.findall(text) for t in merge(piece.encode(), SMALL)]
    assert loaded.encode([text])[0].tolist() == shifted
    assert loaded.decode(shifted) == text


def test_load_tokenizer_json_accepts_the_split_written_out(tmp_path: Path) -> None:
    content = copy.deepcopy(JSON)
    content["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": GPT2_SPLIT}, "behavior": "Isolated"},
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
        ],
    }
    assert load_json(content, tmp_path).vocabulary_size == 2001


def edit(*keys: str, to: object) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = to

    return change


def swap_merges(content: dict[str, Any]) -> None:
    merges = content["model"]["merges"]
    merges[3], merges[900] = merges[900], merges[3]


def drop_merge(content: dict[str, Any]) -> None:
    del content["model"]["merges"][500]


def two_specials(content: dict[str, Any]) -> None:
    del content["model"]["vocab"]["<|endoftext|>"]
    content["added_tokens"] = [{"id": 0, "content": "<s>"}, {"id": 5000, "content": "</s>"}]


def other_pair(content: dict[str, Any]) -> None:
    """Let " the" come from " t" and "he" become " th" and "e", which has another result in text."""
    merges = content["model"]["merges"]
    merges[merges.index("Ġt he")] = "Ġth e"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (edit("model", "type", to="WordPiece"), "not a byte-level BPE"),
        (edit("model", "byte_fallback", to=True), "not a byte-level BPE"),
        (edit("model", "end_of_word_suffix", to="</w>"), "end_of_word_suffix"),
        (edit("model", "dropout", to=0.1), "dropout"),
        (edit("normalizer", to={"type": "NFC"}), "normalizer"),
        (edit("pre_tokenizer", to=None), "pre-tokenizer"),
        (edit("pre_tokenizer", "add_prefix_space", to=True), "adds a space"),
        (edit("pre_tokenizer", "use_regex", to=False), "does not split"),
        (edit("pre_tokenizer", "type", to="Metaspace"), "pre-tokenizer"),
        (edit("model", "vocab", to={"a": 7}), "255 of the 256"),
        (edit("model", "vocab", to=[1]), "not a BPE tokenizer.json"),
        (edit("model", "merges", to=["a"]), "not a BPE tokenizer.json"),
        (edit("model", "vocab", "!", to=1 << 40), "out of range"),
        (edit("model", "vocab", "!", to=700), "Two tokens have one id"),
        (edit("model", "vocab", "\u6f22", to=5000), "stands for no byte"),
        (two_specials, "nothing says"),
        (swap_merges, "not in the order"),
        (drop_merge, "do not lead to"),
        (other_pair, "do not lead to the token b' the'"),
    ],
)
def test_load_tokenizer_json_that_could_differ_is_refused(
    change: Callable[[dict[str, Any]], None], why: str, tmp_path: Path
) -> None:
    content = copy.deepcopy(JSON)
    change(content)
    with pytest.raises(InputError, match=why):
        load_json(content, tmp_path)


def test_load_other_split_is_refused_and_shown(tmp_path: Path) -> None:
    content = copy.deepcopy(JSON)
    content["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}"}, "behavior": "Isolated"},
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
        ],
    }
    with pytest.raises(InputError, match=r"not that of GPT-2: \[.*1,3"):
        load_json(content, tmp_path)


def test_load_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        tokenizer.load(str(tmp_path / "none.tiktoken"))


@pytest.mark.real
def test_encode_real_text_equals_the_reference(real_data: Path) -> None:
    """A slice of books and of notes: every id as the slow reference gives it."""
    for name, size in (("books/books.jsonl.zst", 60_000), ("webtext/til.jsonl.zst", 4_000)):
        with (real_data / name).open("rb") as file:
            lines = zstandard.ZstdDecompressor().stream_reader(file).read(3_000_000).splitlines()
        for line in lines[:-1][:12]:
            text = json.loads(line)["text"][:size]
            assert encode(text) == reference(text)
            assert GPT2.decode(encode(text)) == text
