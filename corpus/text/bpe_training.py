"""Training a byte-level BPE: the merges that a text asks for, most frequent first.

GPT-2 (section 2.2): begin with the 256 bytes, split text with a regular expression so that no merge
crosses its pieces, and join the most frequent pair of adjacent tokens again and again. Of pairs
that are equally frequent the one with the lower ids is joined, as Hugging Face tokenizers does,
whose merges these are: the result is a function of the counted words alone.

A pair is passed over where encoding by ranks would not come to the new token through it, so that a
tiktoken ranks file and a `tokenizer.json` of the vocabulary give the same ids.

In: texts. Out: tokens in the order of their ids, and the two files.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import regex

from corpus.errors import InputError
from corpus.text.tokenizer import cut
from corpus.text.vocabulary import END_OF_TEXT, FAST_SPLIT, byte_alphabet, parts_by_rank

LONGEST_WORD = 256  # bytes; what is longer is data and no word, and is not learned from
MOST_WORDS = 4_000_000  # different words that are counted, about 0.5 GB
_SPLIT = regex.compile(FAST_SPLIT)
_LEAST = 2  # a pair that occurs once is no pattern


def count_words(words: Counter[bytes], texts: Iterable[str]) -> None:
    """Add the pieces of texts to the count of each.

    When there are over `MOST_WORDS`, the rarest are forgotten, so that memory is bounded however
    much is read; those that are left are counted from their last return on.
    """
    for text in texts:
        for piece in cut(text):
            found = Counter(_SPLIT.findall(piece))
            for word, number in found.items():
                data = word.encode("utf-8", "replace")
                if len(data) <= LONGEST_WORD:
                    words[data] += number
        if len(words) > MOST_WORDS:
            _forget(words)


def _forget(words: Counter[bytes]) -> None:
    least = 1
    while len(words) > MOST_WORDS // 2:
        for word in [word for word, number in words.items() if number <= least]:
            del words[word]
        least *= 2


def train(words: Mapping[bytes, int], size: int) -> list[bytes]:
    """Return the tokens of a vocabulary, in the order of their ids, without end of text.

    Args:
        words: How often each word occurs; merges do not cross words.
        size: Number of ids, with that of end of text, which comes last.

    Raises:
        InputError: The words do not have so many pairs that occur twice.
    """
    alphabet = list(byte_alphabet().values())
    tokens = [bytes([byte]) for byte in alphabet]
    ids = {byte: number for number, byte in enumerate(alphabet)}
    spelled = [[ids[byte] for byte in word] for word in words]
    counts = list(words.values())
    ranks = {token: number for number, token in enumerate(tokens)}
    frequency: defaultdict[tuple[int, int], int] = defaultdict(int)
    places: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for place, word in enumerate(spelled):
        for pair in itertools.pairwise(word):
            frequency[pair] += counts[place]
            places[pair].append(place)
    heap = [(-number, pair) for pair, number in frequency.items()]
    heapq.heapify(heap)
    while len(tokens) < size - 1:
        if not heap:
            raise InputError(
                f"the text gives a vocabulary of {len(tokens) + 1:,} ids, and not of {size:,}",
                why="No pair of tokens is left that occurs twice",
                fix="Ask for fewer ids, or give it more text (--share, or a larger build)",
            )
        stale, pair = heapq.heappop(heap)
        number = frequency.get(pair, 0)
        if number < _LEAST:
            continue
        if -stale != number:  # it has been counted down or up since
            heapq.heappush(heap, (-number, pair))
            continue
        left, right = tokens[pair[0]], tokens[pair[1]]
        joined = left + right
        if joined in ranks or parts_by_rank(joined, ranks, below=len(tokens)) != (left, right):
            continue
        new = len(tokens)
        tokens.append(joined)
        ranks[joined] = new
        _merge(pair, new, spelled, counts, frequency, places, heap)
    return tokens


def _merge(
    pair: tuple[int, int],
    new: int,
    spelled: list[list[int]],
    counts: Sequence[int],
    frequency: defaultdict[tuple[int, int], int],
    places: defaultdict[tuple[int, int], list[int]],
    heap: list[tuple[int, tuple[int, int]]],
) -> None:
    """Join a pair in every word that has it, and count the pairs of those words again."""
    grown: dict[tuple[int, int], None] = {}
    for place in dict.fromkeys(places.pop(pair)):
        old, joined = spelled[place], []
        at = 0
        while at < len(old):
            if at + 1 < len(old) and (old[at], old[at + 1]) == pair:
                joined.append(new)
                at += 2
            else:
                joined.append(old[at])
                at += 1
        if len(joined) == len(old):
            continue  # another merge has taken the pair from this word
        spelled[place] = joined
        number = counts[place]
        for gone in itertools.pairwise(old):
            frequency[gone] -= number
        for come in itertools.pairwise(joined):
            frequency[come] += number
            if new in come:
                places[come].append(place)
                grown[come] = None
    frequency.pop(pair, None)
    for come in grown:
        heapq.heappush(heap, (-frequency[come], come))


def ranks_file(tokens: Sequence[bytes]) -> bytes:
    """Return the vocabulary as a tiktoken ranks file; end of text is the id after them."""
    return b"".join(b"%s %d\n" % (base64.b64encode(t), rank) for rank, t in enumerate(tokens))


def tokenizer_json(
    tokens: Sequence[bytes], *, ids: Sequence[int] | None = None, end_of_text: int | None = None
) -> bytes:
    """Return the vocabulary as a `tokenizer.json` of Hugging Face tokenizers.

    Args:
        tokens: In the order in which they merge.
        ids: Of the tokens, rising; 0, 1, 2, ... by default.
        end_of_text: Its id; the one behind all tokens by default.
    """
    characters = {byte: character for character, byte in byte_alphabet().items()}

    def spell(token: bytes) -> str:
        return "".join(characters[byte] for byte in token)

    ranks = dict(zip(tokens, range(len(tokens)) if ids is None else ids, strict=True))
    vocabulary = {spell(token): rank for token, rank in ranks.items()}
    last = len(tokens) if end_of_text is None else end_of_text
    if last != len(tokens):
        # The library counts on for an added token that the vocabulary does not give an id.
        vocabulary[END_OF_TEXT] = last
    pairs = [parts_by_rank(t, ranks, below=rank) for t, rank in ranks.items() if len(t) > 1]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": last,
                "content": END_OF_TEXT,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
        ],
        "normalizer": None,
        "pre_tokenizer": {**byte_level, "use_regex": True},
        "post_processor": None,
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [[spell(left), spell(right)] for left, right in pairs],
        },
    }
    return json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"
