"""Training a byte-level BPE: the merges by the definition, the files, and the encoders."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.errors import InputError
from corpus.text import bpe_training
from corpus.text.bpe_training import count_words, ranks_file, tokenizer_json, train
from corpus.text.tokenizer import Tokenizer
from corpus.text.vocabulary import FAST_SPLIT, byte_alphabet, from_json, from_ranks


def sentences(seed: int, count: int) -> list[str]:
    generator = random.Random(seed)
    words = [
        "".join(generator.choices("abcdeé世😀'", k=generator.randint(1, 12))) for _ in range(400)
    ]
    return [
        " ".join(generator.choices(words, k=40)) + " it's 12, isn't it?\n\n" for _ in range(count)
    ]


def counted(texts: list[str]) -> Counter[bytes]:
    words: Counter[bytes] = Counter()
    count_words(words, texts)
    return words


def plainly(words: Counter[bytes], size: int) -> list[bytes]:
    """Count every pair again before every merge."""
    tokens = [bytes([byte]) for byte in byte_alphabet().values()]
    spelled = {word: [tokens.index(bytes([byte])) for byte in word] for word in words}
    while len(tokens) < size - 1:
        pairs: Counter[tuple[int, int]] = Counter()
        for word, ids in spelled.items():
            for pair in itertools.pairwise(ids):
                pairs[pair] += words[word]
        pair = min(pairs, key=lambda pair: (-pairs[pair], pair))
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
        for ids in spelled.values():
            at = 0
            while at + 1 < len(ids):
                if (ids[at], ids[at + 1]) == pair:
                    ids[at : at + 2] = [len(tokens) - 1]
                at += 1
    return tokens


def test_merges_are_those_of_the_definition() -> None:
    words = counted(sentences(1, 60))
    assert train(words, 400) == plainly(words, 400)


def test_equal_words_in_another_order_give_the_same_tokens() -> None:
    words = counted(sentences(2, 40))
    other = Counter(dict(sorted(words.items(), reverse=True)))
    assert list(other) != list(words)
    assert train(other, 380) == train(words, 380)


def test_of_equally_frequent_pairs_the_lower_ids_are_joined_first() -> None:
    tokens = train(Counter({b"yz": 5, b"ab": 5, b"cd": 6}), 260)
    assert tokens[256:] == [b"cd", b"ab", b"yz"]


def test_no_merge_crosses_a_word() -> None:
    tokens = train(counted(["ab cd ab, 12 cd " * 50]), 263)
    assert all(token[1:].isalnum() for token in tokens[256:])
    assert b" ab" in tokens


def test_both_files_are_one_vocabulary_that_tiktoken_knows() -> None:
    texts = sentences(3, 80)
    tokens = train(counted(texts), 500)
    data = ranks_file(tokens)
    ranks = from_ranks(data, name="r", where="r")
    whole = from_json(tokenizer_json(tokens), name="j", where="j")
    assert (ranks.ranks, ranks.size, ranks.end_of_text) == (whole.ranks, 500, 499)
    assert (whole.size, whole.end_of_text) == (500, 499)
    reference = tiktoken.Encoding(
        "r", pat_str=FAST_SPLIT, mergeable_ranks=ranks.ranks, special_tokens={}
    )
    encoder = Tokenizer(whole)
    for text in [*texts[:5], "<|endoftext|>", "", "\x00\x1f   \n\n  x", "日本語 العربية"]:
        [ids] = encoder.encode([text])
        assert ids.tolist() == reference.encode_ordinary(text)
        assert encoder.decode(ids) == text


@settings(deadline=None)  # the first one loads tiktoken
@given(st.lists(st.text("aab '\n1é", max_size=40), min_size=1, max_size=20), st.text(max_size=60))
def test_every_trained_vocabulary_is_accepted_and_gives_any_text_back(
    texts: list[str], other: str
) -> None:
    words = counted(texts)
    try:
        tokens = train(words, 275)
    except InputError:
        tokens = train(words, 257)
    encoder = Tokenizer(from_json(tokenizer_json(tokens), name="j", where="j"))
    for text in [*texts, other]:
        [ids] = encoder.encode([text])
        assert encoder.decode(ids) == text


def test_too_little_text_is_said() -> None:
    with pytest.raises(InputError, match="gives a vocabulary of 258 ids, and not of 300"):
        train(Counter({b"ab": 2}), 300)


def test_long_words_are_not_learned_from() -> None:
    words = counted(["a" * 257 + " " + "b" * 255])
    assert set(words) == {b" " + b"b" * 255}


def test_rare_words_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpe_training, "MOST_WORDS", 100)
    words: Counter[bytes] = Counter()
    count_words(words, [" common" * 50])
    count_words(words, [f" w{number}" for number in range(5000)])
    assert len(words) <= 100
    assert words[b" common"] == 50


def test_tokenizers_trains_and_reads_the_same() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    texts = sentences(4, 300)
    own = train(counted(texts), 700)
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.train_from_iterator(
        texts,
        tokenizers.trainers.BpeTrainer(
            vocab_size=699,
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    model = json.loads(tokenizer_json(own))["model"]
    assert json.loads(theirs.to_str())["model"]["merges"] == model["merges"]
    assert theirs.get_vocab() == model["vocab"]
    read = tokenizers.Tokenizer.from_str(tokenizer_json(own).decode())
    encoder = Tokenizer(from_json(tokenizer_json(own), name="j", where="j"))
    for text in [*sentences(5, 20), "  \n\n x 日本"]:
        assert read.encode(text).ids == encoder.encode([text])[0].tolist()
