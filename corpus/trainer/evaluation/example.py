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
        answers: Every accepted answer, where one has to be written.
        own: Identifier that its file gives it; "" for none.
        place: Name of its file and its number there, from 1.
    """

    pairs: tuple[tuple[str, str], ...]
    gold: int = 0
    answers: tuple[str, ...] = ()
    own: str = ""
    place: str = ""

    @property
    def id(self) -> str:
        """Its identifier: its own, or else its place."""
        return self.own or self.place

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
