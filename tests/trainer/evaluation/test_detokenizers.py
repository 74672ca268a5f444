"""De-tokenizers: what they write, and that the words can be told from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.trainer.evaluation import items
from corpus.trainer.evaluation.detokenizers import (
    CBT,
    DETOKENIZERS,
    LAMBADA,
    ONE_BILLION_WORDS,
    PTB,
    WIKITEXT,
    Detokenizer,
)

CUT = [name for name in DETOKENIZERS if name != "none"]
TOKENS = [
    *[
        "the",
        "cat",
        "Tom",
        "cats",
        "5",
        "1999",
        "<unk>",
        "N",
        "do",
        "U.S.",
        "H.",
        "Mr.",
        "–",
        "=",
        "I",
    ],
    *[",", ".", ";", ":", "!", "?", "...", "(", ")", "[", "]", "%", "$", '"', "'", "``", "''"],
    *[
        "@-@",
        "@,@",
        "@.@",
        "-LRB-",
        "-RRB-",
        "n't",
        "'s",
        "'re",
        "-",
        "--",
        "t-shirt",
        "a,b",
        "3.5",
    ],
]


@pytest.mark.parametrize(
    ("way", "line", "written"),
    [
        (WIKITEXT, " the red @-@ tipped cats ( 1 @,@ 000 ) . ", "the red-tipped cats (1,000)."),
        (WIKITEXT, ' He said " no " , twice : 0 @.@ 7 % ', 'He said "no", twice: 0.7%'),
        (WIKITEXT, " H. Gammarus , of the U.S. , ... ", "H. Gammarus, of the U.S.,..."),
        (PTB, " it 's $ N and they do n't <unk> ", "it's $N and they don't <unk>"),
        (ONE_BILLION_WORDS, 'The dogs \' " well-known " bark .', 'The dogs\' "well-known" bark.'),
        (LAMBADA, "`` you 're late , '' he said", '"you\'re late," he said'),
        (CBT, "`` Well -LRB- she laughed -RRB- ! ''", '"Well (she laughed)!"'),
    ],
)
def test_detokenizer_writes_as_people_do(way: Detokenizer, line: str, written: str) -> None:
    found = way.detokenize(line)
    assert found.text == written
    assert found.exact
    assert way.tokenize(found.text) == line.split()


@pytest.mark.parametrize("name", CUT)
@given(tokens=st.lists(st.sampled_from(TOKENS), max_size=12))
def test_words_can_be_told_from_every_line_that_is_exact(name: str, tokens: list[str]) -> None:
    way = DETOKENIZERS[name]
    found = way.detokenize(" ".join(tokens))
    assert not found.exact or way.tokenize(found.text) == tokens
    assert found.exact or found.text == " ".join(tokens)


@pytest.mark.parametrize("name", CUT)
@given(line=st.text(max_size=40))
def test_words_can_be_told_from_any_text(name: str, line: str) -> None:
    way = DETOKENIZERS[name]
    found = way.detokenize(line)
    assert not found.exact or way.tokenize(found.text) == line.split()


WIKITEXT_TOKENS = [
    *[
        "the",
        "cat",
        "Tom",
        "cats",
        "5",
        "1999",
        "<unk>",
        "do",
        "–",
        "=",
        ",",
        ".",
        ";",
        "!",
        "(",
        ")",
    ],
    *["@-@", "@,@", "n't", "'s", "H.", "U.S.", '"', "%"],
]


@given(tokens=st.lists(st.sampled_from(WIKITEXT_TOKENS), max_size=15))
def test_lines_as_wikitext_has_them_are_exact(tokens: list[str]) -> None:
    """Marks that could be taken for something else stay apart, so nothing is lost."""
    assert WIKITEXT.detokenize(" ".join(tokens)).exact


def test_word_that_looks_joined_leaves_its_line_as_it_is() -> None:
    found = WIKITEXT.detokenize(" a t-shirt , red ")
    assert (found.text, found.exact) == ("a t-shirt , red", False)


@pytest.mark.real
def test_real_wikitext_is_exact_but_for_one_line_in_a_thousand(real_data: Path) -> None:
    text = items.whole(str(real_data / "wikipedia" / "wikitext2.valid.txt.zst"))
    found = [WIKITEXT.detokenize(line) for line in text.split("\n")]
    assert len(found) > 3000
    assert sum(not line.exact for line in found) <= len(found) // 1000
    apart = sum(word in {",", ".", ";", ")"} for line in found for word in line.text.split())
    assert apart < 0.02 * text.count(" , ")
