"""An example of a task in the one form that all tasks are brought to.

Choosing between completions, between contexts (partial scoring), and writing an answer differ only
in what the pairs of an example are.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """One example.

    Attributes:
        pairs: A context and its completion for each choice; the one pair of an example without
            choices. A completion brings the space that parts it from its context.
        gold: Number of the right choice.
        answers: Every accepted answer, where one has to be written or is compared with `options`.
            The first one is shown in prompts.
        own: Identifier that its file gives it; "" for none.
        place: Name of its file and its number there, from 1.
        options: What each choice says, where that is compared with `answers`.
        lists: Every accepted list of spans, where an answer may have several (DROP).
        label: Whether `answers` are right; False where the file asks about a wrong one (WSC).
        part: Its number in what the file has under one identifier, from 0: a turn of a
            conversation, an answer of a question; None where it is all of that.
        group: What it shares with examples that are not independent of it, such as the other turns
            of a conversation; "" for none. Of parts it is what they are part of.
        about: Text that it is about, where examples about the same text must not stand in its
            prompt: they would give its answer away.
    """

    pairs: tuple[tuple[str, str], ...]
    gold: int = 0
    answers: tuple[str, ...] = ()
    own: str = ""
    place: str = ""
    options: tuple[str, ...] = ()
    lists: tuple[tuple[str, ...], ...] = ()
    label: bool = True
    part: int | None = None
    group: str = ""
    about: str = ""

    @property
    def listed(self) -> str:
        """Identifier under which its file has it, perhaps with others: its own or its place."""
        return self.own or self.place

    @property
    def id(self) -> str:
        """Its identifier: its own, or else its place; with its number where it is a part."""
        return self.listed if self.part is None else f"{self.listed}#{self.part}"

    @property
    def solved(self) -> str:
        """The example with its right answer, as it stands in a prompt."""
        return "".join(self.pairs[self.gold])


def choosing(context: str, options: tuple[str, ...], gold: int, own: str = "") -> Example:
    """Return an example whose options each complete one context, a space between."""
    return Example(tuple((context, f" {option}") for option in options), gold, own=own)


def writing(context: str, answers: tuple[str, ...], own: str = "") -> Example:
    """Return an example whose answer has to be written; the first one is shown in prompts."""
    return Example(((context, f" {answers[0]}"),), answers=answers, own=own)
