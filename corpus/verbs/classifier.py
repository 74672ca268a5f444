"""The verbs of `corpus classifier`: train, evaluate, calibrate, score.

Each is a function for Typer. Everything heavy is imported by the verb that needs it.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated, Any

import typer

from corpus.errors import InputError
from corpus.verbs.options import Config, EngineName, Json, Output, Sets, Workers
from corpus.verbs.printing import show

app = typer.Typer(
    name="classifier",
    help="Train and judge the classifiers that filter by quality.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Recipe = Annotated[
    str, typer.Option("--config", "-c", help="The classifier's recipe.", metavar="FILE")
]
Work = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="Folder in which its sources are built; data/classifier-<name> by default.",
        metavar="DIR",
    ),
]
_MOST_BYTES = 1 << 29  # of a text to score


@app.command("train")
def train(
    config: Recipe = "train.yaml",
    to: Annotated[
        str | None,
        typer.Option(
            "--to", help="Folder of the classifier; the recipe's by default.", metavar="DIR"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace another classifier in that folder.")
    ] = False,
    output: Work = None,
    engine: EngineName = "ray",
    workers: Workers = None,
    set_: Sets = None,
    json_output: Json = False,
) -> None:
    """Train a classifier, and write model, metrics and model card beside its recipe.

    Example: corpus classifier train --config classifiers/quality/train.yaml --to my-classifier
    """
    from corpus import classifier_folder
    from corpus.build import default_output
    from corpus.classifier import card
    from corpus.classifier.config import folder_of, load_classifier_recipe, text_beside_model
    from corpus.engine import make_engine
    from corpus.progress import make_progress

    recipe = load_classifier_recipe(config, set_ or [])
    folder = (to or folder_of(config)).rstrip("/") or "/"
    text = text_beside_model(recipe, config, folder)
    with contextlib.closing(make_engine(engine, workers)) as runner:
        record = classifier_folder.train(
            recipe,
            text,
            folder,
            output or default_output(recipe.recipe()),
            runner,
            lambda: make_progress(json_output),
            force=force,
        )
    show(record, [*card.describe(record), f"Written to {folder}"], json_output)


@app.command("evaluate")
def evaluate(
    folder: Annotated[
        str | None,
        typer.Argument(help="The classifier's folder; the recipe's by default.", metavar="FOLDER"),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", "-c", help="Its recipe; FOLDER/train.yaml by default."),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            "--groups", help="JSONL with url (or id) and group: scores by kind.", metavar="FILE"
        ),
    ] = None,
    output: Work = None,
    engine: EngineName = "ray",
    workers: Workers = None,
    set_: Sets = None,
    json_output: Json = False,
) -> None:
    """Evaluate a classifier on the documents that its recipe holds out.

    They are the texts of its sources, which its folder does not hold: --set names other places.
    The exit code is 1 when it falls under a floor that its metrics.json pins, and when they are not
    the documents that were held out when it was trained, unless --config or --set asks for others.

    Example: corpus classifier evaluate classifiers/quality
    """
    from corpus import classifier_folder, storage
    from corpus.build import default_output
    from corpus.classifier import card
    from corpus.classifier.config import RECIPE, folder_of, load_classifier_recipe
    from corpus.engine import make_engine
    from corpus.progress import make_progress

    path = config or (storage.join(folder, RECIPE) if folder else "train.yaml")
    recipe = load_classifier_recipe(path, set_ or [])
    with contextlib.closing(make_engine(engine, workers)) as runner:
        found = classifier_folder.evaluate(
            recipe,
            (folder or folder_of(path)).rstrip("/") or "/",
            output or default_output(recipe.recipe()),
            runner,
            lambda: make_progress(json_output),
            groups=groups,
            others=config is not None or bool(set_),
        )
    lines = [*card.describe(found.record), *(f"Note: {note}" for note in found.notes)]
    lines += [f"Under its floor: {problem}" for problem in found.problems]
    show(found, lines, json_output)
    if found.problems:
        raise typer.Exit(1)


@app.command("calibrate")
def calibrate(
    config: Config = "mix.yaml", output: Output = None, json_output: Json = False
) -> None:
    """Show what each alpha keeps of a build that is scored, and which alpha fits the positives.

    Example: corpus classifier calibrate --config pipelines/tiny/mix.yaml
    """
    from corpus.build import default_output, read_build
    from corpus.config import load_recipe
    from corpus.look import calibration

    recipe = load_recipe(config)
    found = calibration.calibrate(recipe, read_build(output or default_output(recipe)))
    show(found, calibration.describe(found), json_output)


@app.command("score")
def score(
    files: Annotated[
        list[str], typer.Argument(help="Text files, or - for standard input.", metavar="FILE...")
    ],
    classifier: Annotated[
        str, typer.Option("--classifier", help="The classifier's folder.", metavar="FOLDER")
    ] = "classifiers/quality",
    alpha: Annotated[float, typer.Option("--alpha", help="For the chance to be kept.")] = 9.0,
    number: Annotated[int, typer.Option("-n", help="Words of each sign to show.", min=0)] = 10,
    json_output: Json = False,
) -> None:
    """Score texts, and show the words that raised and lowered each score most.

    Example: corpus classifier score page.txt --classifier classifiers/quality
    """
    from corpus import classifier as module
    from corpus import storage
    from corpus.classifier.contributions import explain
    from corpus.tables import Table, printable

    model = module.load(classifier)
    facts: list[dict[str, Any]] = []
    blocks: list[Any] = []
    for file in files:
        if file != "-" and storage.size(file) > _MOST_BYTES:
            raise InputError("the text is too large to score here", where=file)
        data = sys.stdin.buffer.read(_MOST_BYTES) if file == "-" else storage.read_bytes(file)
        found = explain(data.decode("utf-8", "replace"), model)
        kept = (2 - found.score) ** -alpha
        raised = [one for one in found.contributions[:number] if one.log_odds > 0]
        lowered = [one for one in found.contributions[::-1][:number] if one.log_odds < 0]
        facts.append(
            {
                "file": file,
                "score": found.score,
                "kept": kept,
                "alpha": alpha,
                "words": found.words,
                "intercept": model.intercept,
                "raised": raised,
                "lowered": lowered,
            }
        )
        blocks.append(
            f"{printable(file)}: score {found.score:.4f}, kept with {kept:.2%} at alpha {alpha:g}; "
            f"{found.words:,} words, log-odds {model.intercept:+.3f} before them"
        )
        rows = [
            (printable(one.words)[:40], f"{one.count:,}", f"{one.log_odds:+.4f}")
            for one in (*raised, *lowered[::-1])
        ]
        blocks.append(Table(("word", "count", "log-odds"), rows))
    show(facts, blocks, json_output)
