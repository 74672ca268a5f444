"""Examples put to a model: the likeliest choice, the last word, the written answer.

A `Judge` for one task and one number of shots; examples in, outcomes out, in their order.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from corpus.text.tokenizer import Tokenizer
from corpus.trainer.beam_search import beam_search
from corpus.trainer.evaluation import answers
from corpus.trainer.evaluation.example import Example
from corpus.trainer.evaluation.last_word import next_words, predicted
from corpus.trainer.evaluation.outcomes import Outcome
from corpus.trainer.evaluation.prompts import Prompt, Prompts
from corpus.trainer.evaluation.requests import encode, request
from corpus.trainer.evaluation.scoring import Score, Scorer
from corpus.trainer.evaluation.task import LENGTH_PENALTY, Task
from corpus.trainer.sampling import generate

_GROUP = 64  # examples whose requests are held at once


@dataclass(frozen=True, slots=True)
class Judge:
    """One task with one number of shots.

    Attributes:
        task: The task.
        prompts: Its prompts.
        scorer: The model.
        tokenizer: Its tokenizer.
        beams: Of a written answer.
        stop: Tokens that end one (`answer_ends`).
    """

    task: Task
    prompts: Prompts
    scorer: Scorer
    tokenizer: Tokenizer
    beams: int
    stop: frozenset[int]

    def __call__(self, examples: Iterable[Example]) -> Iterator[Outcome]:
        """Yield the outcome of each example."""
        judge = {"choice": self._choices, "word": self._words, "written": self._written}
        left = iter(examples)
        while group := list(itertools.islice(left, _GROUP)):
            prompts = [self.prompts(one, longest=self._longest(one)) for one in group]
            yield from judge[self.task.kind](group, prompts)

    def _longest(self, example: Example) -> LongestOf:
        spare = self.task.tokens if self.task.kind == "written" else None
        return LongestOf(self.tokenizer, example, spare)

    def _choices(self, group: Sequence[Example], prompts: Sequence[Prompt]) -> Iterator[Outcome]:
        """Yield outcomes of choosing: the likeliest pair by the rule of the task, and by others."""
        pairs = [
            (prompt.text + context, completion)
            for one, prompt in zip(group, prompts, strict=True)
            for context, completion in one.pairs
        ]
        scores = iter(self._scores(pairs))
        alone: Iterator[Score] = iter(())
        if self.task.rule == "answer_context":
            context = self.task.answer_context.rstrip()
            rest = [completion for one in group for _, completion in one.pairs]
            alone = iter(self._scores([(context, completion) for completion in rest]))
        for one, prompt in zip(group, prompts, strict=True):
            own = list(itertools.islice(scores, len(one.pairs)))
            before = list(itertools.islice(alone, len(one.pairs)))
            sums = [score.log_probability for score in own]
            rules = {"token": [score.per_token for score in own], "sum": sums}
            if before:
                without = (score.log_probability for score in before)
                rules["answer_context"] = [a - b for a, b in zip(sums, without, strict=True)]
            sizes = [len(completion.strip()) for _, completion in one.pairs]
            rules["character"] = [
                value / max(1, size) for value, size in zip(sums, sizes, strict=True)
            ]
            yield Outcome.of(
                one,
                shots=prompt.shots,
                cut=max(score.cut for score in own),
                **self.task.choose(one, rules, self.task.rule),
                details={
                    "gold": one.gold,
                    "chosen": int(np.argmax(rules[self.task.rule])),
                    "log_probabilities": sums,
                    "tokens": [score.tokens for score in own],
                },
            )

    def _words(self, group: Sequence[Example], prompts: Sequence[Prompt]) -> Iterator[Outcome]:
        """Yield outcomes of the last word: GPT-2 section 3.3, GPT-3 section 3.1.2."""
        pairs = [
            (prompt.text + one.pairs[0][0], one.pairs[0][1])
            for one, prompt in zip(group, prompts, strict=True)
        ]
        for one, prompt, pair, score in zip(
            group, prompts, pairs, self._scores(pairs), strict=True
        ):
            right = {
                "accuracy": float(score.greedy),
                "accuracy_of_last_token": float(score.last_greedy),
            }
            details: dict[str, object] = {"gold": one.answers[0]}
            if not self.prompts.shots:  # the filter is of GPT-2, which knows no examples
                words = next_words(
                    self.scorer.model, self.tokenizer, pair[0], context=self.scorer.context
                )
                details["words"] = words[:5]
                details["filtered"] = predicted(words)
                right["accuracy_of_search"] = float(words[:1] == [one.answers[0]])
                right["accuracy_with_stop_words"] = float(predicted(words) == one.answers[0])
            yield Outcome.of(
                one,
                shots=prompt.shots,
                cut=score.cut,
                right=right,
                nats=-score.log_probability,
                units={"word": 1},
                details=details,
            )

    def _written(self, group: Sequence[Example], prompts: Sequence[Prompt]) -> Iterator[Outcome]:
        """Yield outcomes of written answers, by the metrics of the task."""
        for one, prompt in zip(group, prompts, strict=True):
            tokens = encode(self.tokenizer, prompt.text + one.pairs[0][0])
            cut = max(0, len(tokens) - (self.scorer.context - self.task.tokens + 1))
            answer = answers.written(self._write(tokens[cut:].tolist()))
            yield Outcome.of(
                one,
                shots=prompt.shots,
                cut=cut,
                **self.task.grade(answer, one),
                details={"gold": one.answers[0], "answer": answer},
            )

    def _write(self, tokens: list[int]) -> str:
        """Return what the model writes, up to the end of the line."""
        if self.beams == 1:
            found = generate(
                self.scorer.model,
                tokens,
                tokens=self.task.tokens,
                temperature=0,
                seed=0,
                context=self.scorer.context,
            )
        else:
            found = beam_search(
                self.scorer.model,
                tokens,
                beams=self.beams,
                length_penalty=LENGTH_PENALTY,
                tokens=self.task.tokens,
                stop=self.stop,
                context=self.scorer.context,
            )[0].tokens
        if self.tokenizer.end_of_text in found:
            found = found[: found.index(self.tokenizer.end_of_text)]
        return self.tokenizer.decode(np.array(found, dtype=np.int64))

    def _scores(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        return self.scorer([request(self.tokenizer, *pair) for pair in pairs])


@dataclass(frozen=True, slots=True)
class LongestOf:
    """Tokens of the longest request of an example behind a prompt.

    Attributes:
        tokenizer: The tokenizer.
        example: The example.
        spare: Tokens to leave for an answer that is written; None: its pairs are scored.
    """

    tokenizer: Tokenizer
    example: Example
    spare: int | None

    def __call__(self, prompt: str) -> int:
        """Return the number of tokens that the model has to be shown."""
        if self.spare is not None:
            text = prompt + self.example.pairs[0][0]
            return len(encode(self.tokenizer, text)) + self.spare - 1
        texts = (prompt + context + completion for context, completion in self.example.pairs)
        # The last token is predicted and not shown.
        return max(len(encode(self.tokenizer, text)) for text in texts) - 1


def answer_ends(tokenizer: Tokenizer) -> frozenset[int]:
    """Return the tokens that end an answer: those with a line break in them, and end of text."""
    lines = (line.split() for line in tokenizer.ranks_file().splitlines())
    breaks = (int(rank) for token, rank in lines if b"\n" in base64.b64decode(token))
    return frozenset({*breaks, tokenizer.end_of_text})
