"""The verbs of `corpus tokenizer`: train.

Each is a function for Typer. Everything heavy is imported by the verb that needs it.
"""

from __future__ import annotations

from typing import Annotated

import typer

from corpus.verbs.builds import build_of
from corpus.verbs.options import Config, Json, Output, To
from corpus.verbs.printing import quiet, say, show

app = typer.Typer(
    name="tokenizer",
    help="Train a vocabulary from the documents of a build.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _tokenizer() -> None:
    """Keep the verb's name although it is the only one."""


@app.command("train")
def train(
    to: To,
    size: Annotated[
        int, typer.Option("--size", help="Number of ids, with that of end of text.", metavar="N")
    ] = 50_257,
    share: Annotated[
        float, typer.Option("--share", help="Share of the documents to read.", metavar="X")
    ] = 1.0,
    force: Annotated[
        bool, typer.Option("--force", help="Replace another vocabulary in that folder.")
    ] = False,
    config: Config = "mix.yaml",
    output: Output = None,
    json_output: Json = False,
) -> None:
    """Train a byte-level BPE from the kept documents: tokenizer.json, and ranks.tiktoken.

    Example: corpus tokenizer train --to tokenizers/mine --size 32768 --share 0.1
    """
    from corpus import tokenizer_training

    folder = to.rstrip("/") or "/"
    made = tokenizer_training.train(
        build_of(config, output),
        to=folder,
        size=size,
        share=share,
        force=force,
        say=quiet if json_output else say,
    )
    show(made, tokenizer_training.describe(made, folder), json_output)
