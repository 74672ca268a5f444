"""A pretrained decoder with a head: GPT-1 section 3.2.

"The inputs are passed through our pre-trained model to obtain the final transformer block's
activation h_l^m, which is then fed into an added linear output layer with parameters W_y." m is the
place of the extract token. All weights are trained; new are W_y and the embeddings of the start,
delimiter and extract tokens, drawn from N(0, 0.02) as the pretrained ones were.

Heads: a linear layer to the classes, or to one score; on the sum of the states of both orders for
similarity; to one number for each choice, softmax over the choices, for multiple choice.

As in the released code the head has a bias, and the classifier's dropout drops the same units of
all choices of an example.

Shapes: S sequences of T tokens, B examples, C = d_model, V = vocabulary with the new tokens.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from corpus.trainer.finetuning.batch import Batch
from corpus.trainer.finetuning.config import Kind
from corpus.trainer.finetuning.inputs import NEW_TOKENS, SpecialTokens
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture


class FinetunedGPT(GPT):
    """A decoder whose vocabulary has three tokens more, and a head.

    Use `FinetunedGPT.start` for one that begins with pretrained weights.

    Args:
        shape: Sizes of the decoder, new tokens included.
        kind: Kind of the task.
        outputs: Numbers that the head puts out: the classes, or 1.
        dropout: As of `GPT`.
        classifier_dropout: Share of units dropped of the states that the head sees.
    """

    one_length = False  # a batch is as long as its longest text

    def __init__(
        self,
        shape: Architecture,
        *,
        kind: Kind,
        outputs: int,
        dropout: float = 0.0,
        classifier_dropout: float = 0.0,
    ) -> None:
        super().__init__(shape, dropout=dropout)
        self.kind = kind
        self.classifier_dropout = classifier_dropout
        self.head = nn.Linear(shape.d_model, outputs)

    @classmethod
    def start(
        cls,
        pretrained: GPT,
        *,
        kind: Kind,
        outputs: int,
        dropout: float,
        classifier_dropout: float,
        seed: int,
        keep_weights: bool = True,
    ) -> FinetunedGPT:
        """Return a model on the CPU with the weights of a pretrained one, and new ones by `seed`.

        Without `keep_weights` all are new: only the shape is the pretrained model's.
        """
        size = pretrained.shape.vocabulary_size
        shape = replace(pretrained.shape, vocabulary_size=size + NEW_TOKENS)
        with torch.random.fork_rng(devices=[]):  # torch's own initialization, which is not used
            model = cls(
                shape,
                kind=kind,
                outputs=outputs,
                dropout=dropout,
                classifier_dropout=classifier_dropout,
            )
        # All weights are drawn, also those that are replaced below, so that the new ones are the
        # same draws either way.
        model.initialize(torch.Generator().manual_seed(seed))
        if keep_weights:
            own = dict(model.named_parameters())
            with torch.no_grad():
                for name, weights in pretrained.named_parameters():
                    target = own[name]
                    (target[:size] if target is model.wte.weight else target).copy_(weights)
        return model

    @property
    def special(self) -> SpecialTokens:
        """The ids of the new tokens."""
        return SpecialTokens.behind(self.shape.vocabulary_size - NEW_TOKENS)

    def outputs(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Return what the head says of each example, given `hidden` [S, T, C] of its sequences.

        Returns:
            [B, classes]; [B, 1] of a score; of multiple choice [B, most choices of an example],
            with -inf where an example has fewer.
        """
        rows = torch.arange(len(batch.lengths), device=hidden.device)
        states = hidden[rows, batch.lengths - 1]
        if self.kind == "similarity":
            states = states.view(batch.examples, 2, -1).sum(dim=1)
        if self.training and self.classifier_dropout:
            ones = torch.ones(batch.examples, states.shape[1], device=hidden.device)
            mask = F.dropout(ones, self.classifier_dropout)
            # Choices have a state each, the other kinds one for the example.
            states = states * (mask[batch.owners] if self.kind == "multiple_choice" else mask)
        out: Tensor = self.head(states).float()
        if self.kind != "multiple_choice":
            return out
        scores = out.new_full((batch.examples, int(batch.places.max()) + 1), -torch.inf)
        return scores.index_put((batch.owners, batch.places), out[:, 0])

    def language_loss(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy in nats of each sequence's tokens but its first, [S].

        "L1": the mean over the tokens of a sequence, padding left out, as in the released code.
        """
        steps = torch.arange(1, batch.tokens.shape[1], device=hidden.device)
        real = steps < batch.lengths[:, None]  # [S, T - 1]
        # Logits of real tokens only: they take the most memory and time of all.
        logits = F.linear(hidden[:, :-1][real], self.wte.weight)
        losses = F.cross_entropy(logits.float(), batch.tokens[:, 1:][real], reduction="none")
        padded = torch.zeros(real.shape, device=hidden.device).masked_scatter(real, losses)
        return padded.sum(dim=1) / (batch.lengths - 1)
