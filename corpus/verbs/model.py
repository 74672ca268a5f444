"""The verbs of `corpus model`: export, import.

Each is a function for Typer. Everything heavy is imported by the verb that needs it.
"""

from __future__ import annotations

from typing import Annotated

import typer

from corpus.verbs.options import Json, To
from corpus.verbs.printing import show
from corpus.verbs.torch_needed import torch_needed

app = typer.Typer(
    name="model",
    help="Take trained models to Hugging Face Transformers, and bring models from there.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("export")
def export_model(
    path: Annotated[
        str,
        typer.Argument(help="Output folder of a run, or one of its checkpoints.", metavar="RUN"),
    ],
    to: To,
    force: Annotated[
        bool, typer.Option("--force", help="Replace another model in that folder.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Write a trained model as a folder that Transformers opens: weights, sizes, tokenizer.

    GPT-1 becomes OpenAIGPTLMHeadModel, GPT-2 and dense GPT-3 GPT2LMHeadModel, and GPT-3 with bands
    GPTNeoForCausalLM. That it computes the same is checked.

    Example: corpus model export data/tiny/model --to out/tiny
    """
    with torch_needed("the trainer"):
        from corpus.trainer.interchange import exporting

    made = exporting.export_model(path, to=to.rstrip("/") or "/", force=force)
    show(made, exporting.describe(made), json_output)


@app.command("import")
def import_model(
    path: Annotated[str, typer.Argument(help="Folder of a model of Transformers.", metavar="DIR")],
    to: Annotated[str, typer.Option("--to", help="Output folder, as of a run.", metavar="DIR")],
    vocabulary: Annotated[
        str | None,
        typer.Option(
            "--vocabulary",
            help="gpt2, a ranks file or a tokenizer.json; that of the folder by default.",
            metavar="NAME",
        ),
    ] = None,
    json_output: Json = False,
) -> None:
    """Write a GPT-1, GPT-2 or GPT-Neo of Transformers as a checkpoint of step 0.

    Weights are read from safetensors alone: loading pickled ones runs what they contain.

    Example: corpus model import downloads/gpt2 --to data/gpt2
    """
    with torch_needed("the trainer"):
        from corpus.trainer.interchange import importing

    made = importing.import_model(path, to=to.rstrip("/") or "/", vocabulary=vocabulary)
    show(made, importing.describe(made), json_output)
