"""Vocabularies of a byte-level BPE: a tiktoken ranks file or a `tokenizer.json`, read with care.

Both say which byte strings are tokens and in what order bytes merge (GPT-2, section 2.2). A file
whose tokens could differ from those that its own library would give is refused, with the reason.

In: the bytes of the file. Out: a `Vocabulary`.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
from dataclasses import dataclass
from typing import Any

from corpus.errors import InputError

END_OF_TEXT = "<|endoftext|>"
# The split of the GPT-2 release (src/encoder.py of openai/gpt-2) ...
GPT2_SPLIT = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
# ... and the equal one of tiktoken's r50k_base, whose possessive repeats cannot overflow the stack
# of the regular expression engine on a long run of spaces at the end of a text.
FAST_SPLIT = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
# The largest vocabularies in use (256k ranks) are 4 MB as ranks and 35 MB as tokenizer.json.
MAX_FILE_BYTES = 128 << 20
# A token is at most this long (GPT-2's longest has 128 bytes): checking one takes quadratic time.
_MAX_TOKEN_BYTES = 1024
_MAX_ID = 1 << 24  # what is kept per id is kept for every id below the largest


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a byte-level BPE with the GPT-2 split.

    Attributes:
        name: "gpt2", or the name of the file.
        ranks: Id of each token; adjacent tokens merge in ascending order of the result's id.
        end_of_text: Id that ends a document.
        size: One more than the largest id.
    """

    name: str
    ranks: dict[bytes, int]
    end_of_text: int
    size: int


def _not_a_vocabulary(where: str, why: str) -> InputError:
    return InputError(
        "this is not a vocabulary that can be used",
        where=where,
        why=why,
        fix="Name gpt2, a tiktoken ranks file, or a tokenizer.json of a byte-level BPE with the "
        "GPT-2 split under tokenize.vocabulary",
    )


def from_ranks(
    data: bytes,
    *,
    name: str,
    where: str,
    end_of_text: int | None = None,
    size: int | None = None,
) -> Vocabulary:
    """Read a tiktoken ranks file: a token a line, base64 and rank; end of text comes after them.

    Args:
        data: The file.
        name: Of the vocabulary.
        where: For errors.
        end_of_text: Its id, where it is another one: the ranks are those of a `tokenizer.json`,
            whose added tokens may stand anywhere, so that ids may be left out.
        size: One more than the largest id, added tokens included; given with `end_of_text`.

    Raises:
        InputError: It is not such a file.
    """
    _require_size(data, where=where)
    ranks: dict[bytes, int] = {}
    lines = data.splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise _not_a_vocabulary(
                where, f"Line {number} is not a base64 token and its rank ({error})"
            ) from error
    ids = sorted(ranks.values())
    if end_of_text is None or size is None:
        if len(ranks) != len(lines) or ids != list(range(len(ids))):
            raise _not_a_vocabulary(where, "Its ranks are not 0, 1, 2, ... with one token each")
        end_of_text, size = len(ids), len(ids) + 1
    all_ids = {*ids, end_of_text}
    if len(all_ids) != len(lines) + 1 or min(all_ids) < 0 or not max(all_ids) < size <= _MAX_ID:
        raise _not_a_vocabulary(where, "Two tokens have one id, or an id is out of range")
    _require_bytes(ranks, where=where)
    return Vocabulary(name, ranks, end_of_text=end_of_text, size=size)


def _require_size(data: bytes, *, where: str) -> None:
    if len(data) > MAX_FILE_BYTES:
        raise _not_a_vocabulary(where, f"It is larger than {MAX_FILE_BYTES >> 20} MiB")


def _require_bytes(ranks: dict[bytes, int], *, where: str) -> None:
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise _not_a_vocabulary(
            where,
            f"{len(missing)} of the 256 single bytes have no token, the first 0x{missing[0]:02x}",
        )


def from_json(
    data: bytes, *, name: str, where: str, end_of_text: str | int | None = None
) -> Vocabulary:
    """Read a `tokenizer.json` (Hugging Face tokenizers) of a byte-level BPE with the GPT-2 split.

    End of text is the added token "<|endoftext|>", or the only added token. The other added tokens
    keep their ids, which no text is encoded to.

    Args:
        data: The file.
        name: Of the vocabulary.
        where: For errors.
        end_of_text: The added token that ends a document, or its id, where a file beside it says
            which one does.

    Raises:
        InputError: It is not such a file, or could give other ids here than in its own library.
    """
    _require_size(data, where=where)
    try:
        content = json.loads(data)
        model, added = content["model"], content.get("added_tokens") or []
        _require_gpt2_split(content, where=where)
        special = {str(token["content"]): int(token["id"]) for token in added}
        vocabulary = {str(token): int(rank) for token, rank in model["vocab"].items()}
        merges = [_pair(merge) for merge in model["merges"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _not_a_vocabulary(where, f"It is not a BPE tokenizer.json ({error!r})") from error
    byte_of = byte_alphabet()
    try:
        ranks = {
            bytes(byte_of[character] for character in token): rank
            for token, rank in vocabulary.items()
            if token not in special
        }
        pairs = [tuple(bytes(byte_of[c] for c in half) for half in merge) for merge in merges]
    except KeyError as error:
        raise _not_a_vocabulary(
            where, f"A token has the character {error}, which stands for no byte"
        ) from error
    ids = [*ranks.values(), *special.values()]
    if len(set(ids)) != len(ids) or min(ids) < 0 or max(ids) >= _MAX_ID:
        raise _not_a_vocabulary(where, "Two tokens have one id, or an id is out of range")
    _require_bytes(ranks, where=where)
    if max(map(len, ranks)) > _MAX_TOKEN_BYTES:
        raise _not_a_vocabulary(where, f"A token is longer than {_MAX_TOKEN_BYTES} bytes")
    _require_merges(ranks, [(left, right) for left, right in pairs], where=where)
    return Vocabulary(
        name, ranks, end_of_text=_end_of_text(special, end_of_text, where), size=max(ids) + 1
    )


def _pair(merge: Any) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return str(left), str(right)


def _require_gpt2_split(content: dict[str, Any], *, where: str) -> None:
    """Refuse every `tokenizer.json` whose result could differ from the GPT-2 split and its BPE."""
    model = content["model"]
    if model.get("type", "BPE") != "BPE" or model.get("byte_fallback"):
        raise _not_a_vocabulary(where, "Its model is not a byte-level BPE")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise _not_a_vocabulary(where, f"Its model sets {key}")
    if content.get("normalizer"):
        raise _not_a_vocabulary(where, "It has a normalizer, which would change the text")
    pre = content.get("pre_tokenizer") or {}
    steps = pre["pretokenizers"] if pre.get("type") == "Sequence" else [pre]
    split = [step for step in steps if step.get("type") == "Split"]
    byte_level = [step for step in steps if step.get("type") == "ByteLevel"]
    if len(byte_level) != 1 or len(split) + 1 != len(steps) or steps[-1] is not byte_level[0]:
        raise _not_a_vocabulary(where, "Its pre-tokenizer is not ByteLevel, or Split and ByteLevel")
    if byte_level[0].get("add_prefix_space", True):
        raise _not_a_vocabulary(where, "Its pre-tokenizer adds a space before the text")
    stated = [step["pattern"].get("Regex") for step in split]
    plain = all(
        step.get("behavior") == "Isolated" and not step.get("invert", False) for step in split
    )
    if not plain or any(pattern not in (GPT2_SPLIT, FAST_SPLIT) for pattern in stated):
        raise _not_a_vocabulary(where, f"Its split is not that of GPT-2: {stated}")
    if not split and not byte_level[0].get("use_regex", True):
        raise _not_a_vocabulary(where, "Its pre-tokenizer does not split the text at all")


def byte_alphabet() -> dict[str, int]:
    """Return the byte of each character of GPT-2's printable alphabet (`bytes_to_unicode`)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in set(printable)]
    return alphabet | {chr(256 + n): byte for n, byte in enumerate(others)}


def _require_merges(
    ranks: dict[bytes, int], merges: list[tuple[bytes, bytes]], *, where: str
) -> None:
    """Refuse merges that would give other ids than merging by the rank of the result.

    tiktoken merges the adjacent pair whose joined token has the lowest rank; a `tokenizer.json`
    lists its merges. Both give the same ids when the merges stand in the order of their results'
    ids and each token, encoded with the lower ranks alone, ends as one of its own listed pairs:
    inside a longer text a token can only come from that pair, for the merges within its span run
    in the same order there.
    """
    listed: dict[bytes, set[tuple[bytes, bytes]]] = {}
    last = -1
    for left, right in merges:
        rank = ranks.get(left + right, -1)
        if rank < last:
            raise _not_a_vocabulary(
                where, f"Its merges are not in the order of ids: {left + right!r}"
            )
        last = rank
        listed.setdefault(left + right, set()).add((left, right))
    for token, rank in ranks.items():
        if len(token) > 1 and parts_by_rank(token, ranks, below=rank) not in listed.get(token, ()):
            raise _not_a_vocabulary(where, f"Its merges do not lead to the token {token!r}")


def parts_by_rank(token: bytes, ranks: dict[bytes, int], *, below: int) -> tuple[bytes, ...]:
    """Merge a token's bytes by the ranks below a bound, lowest and leftmost first."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        joined = [ranks.get(a + b, below) for a, b in itertools.pairwise(parts)]
        lowest = min(joined)
        if lowest >= below:
            break
        at = joined.index(lowest)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return tuple(parts)


def _end_of_text(special: dict[str, int], given: str | int | None, where: str) -> int:
    if given is not None:
        if given in special.values():
            return int(given)
        if given in special:
            return special[str(given)]
        raise _not_a_vocabulary(
            where, f"A document ends with {given!r}, and its added tokens are {sorted(special)[:8]}"
        )
    if END_OF_TEXT in special:
        return special[END_OF_TEXT]
    if len(special) == 1:
        return next(iter(special.values()))
    raise _not_a_vocabulary(
        where,
        f"Its added tokens are {sorted(special)[:8]}, and none of them is {END_OF_TEXT}, so "
        "nothing says which one ends a document",
    )
