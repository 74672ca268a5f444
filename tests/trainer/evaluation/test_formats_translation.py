"""Sentences in two languages as examples."""

from __future__ import annotations

from typing import Any

import pytest

from corpus.errors import InputError
from corpus.trainer.evaluation import formats_translation
from corpus.trainer.evaluation.items import Item
from corpus.trainer.evaluation.tasks import TASKS

SENTENCES = {"de": "Guten\u2028Tag, Ärger.", "en": " Good day, trouble. "}


@pytest.mark.parametrize("item", [{"translation": SENTENCES}, SENTENCES])
def test_format_with_examples_is_an_equation_and_without_a_question(item: dict[str, Any]) -> None:
    (few,) = formats_translation.equation("de", "en")(Item("f:1", item))
    assert few.pairs == (("Guten Tag, Ärger. =", " Good day, trouble."),)
    (zero,) = formats_translation.asked("en", "de")(Item("f:1", item))
    assert zero.pairs[0][0] == "Q: What is the German translation of Good day, trouble. A:"
    assert zero.answers == ("Guten Tag, Ärger.",)


def test_there_are_the_six_directions_of_table_3_4() -> None:
    names = [name for name in TASKS if name.startswith("wmt")]
    assert names == [
        "wmt14_en_fr",
        "wmt14_fr_en",
        "wmt16_de_en",
        "wmt16_en_de",
        "wmt16_en_ro",
        "wmt16_ro_en",
    ]
    item = Item("f:1", {"translation": {"en": "Yes.", "ro": "Da."}})
    for name, text in (("wmt16_en_ro", "Yes. = Da."), ("wmt16_ro_en", "Da. = Yes.")):
        (example,) = TASKS[name].examples(iter([item]), with_prompt=True, solved=False)
        assert example.solved == text


@pytest.mark.parametrize(
    ("item", "named"),
    [
        ({"translation": {"en": "Yes."}}, "no field 'translation.de'"),
        ({"de": "Ja."}, "no field 'en'"),
        ({"de": " ", "en": "Yes."}, "'de' has no text"),
    ],
)
def test_sentence_that_is_not_there_is_named(item: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named) as caught:
        list(formats_translation.asked("de", "en")(Item("f:7", item)))
    assert caught.value.where == "f:7"
