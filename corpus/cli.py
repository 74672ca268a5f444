"""The command line: what a person types, what they see, and the exit code.

0: done as asked. 1: a stage failed. 2: the recipe or the command line is wrong. 130: interrupted.
Everything heavy is imported by the verb that needs it.
"""

from __future__ import annotations

import contextlib
import json
from typing import Annotated, Any

import typer

from corpus.errors import CorpusError
from corpus.verbs import ablate as ablate_verb
from corpus.verbs import builds as build_verbs
from corpus.verbs import classifier as classifier_verbs
from corpus.verbs import dedup as dedup_verbs
from corpus.verbs import evaluate as evaluate_verb
from corpus.verbs import export as export_verb
from corpus.verbs import finetune as finetune_verb
from corpus.verbs import model as model_verbs
from corpus.verbs import plan as plan_verb
from corpus.verbs import report as report_verbs
from corpus.verbs import tokenizer as tokenizer_verbs
from corpus.verbs import train as train_verbs
from corpus.verbs.options import Config, EngineName, Json, Output, Sets, Workers
from corpus.verbs.printing import printing

INTERRUPTED = 130

app = typer.Typer(
    name="corpus",
    help="From Common Crawl to a running trainer: GPT-3's data pipeline from one recipe.",
    epilog="With --debug an error comes with its traceback.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _build(
    config: str,
    output: str | None,
    engine_name: str,
    workers: int | None,
    sets: list[str] | None,
    json_output: bool,
    until: str | None,
) -> None:
    from corpus import build
    from corpus.config import load_recipe
    from corpus.engine import make_engine
    from corpus.metering.meter import Meter
    from corpus.planning import forecast, history
    from corpus.progress import make_progress

    recipe = load_recipe(config, sets or [])
    engine = make_engine(engine_name, workers)
    folder = output or build.default_output(recipe)
    forecast.check_build(recipe, folder)
    meter = Meter(make_progress(json_output), folder)
    with contextlib.closing(engine):
        made = build.build(recipe, folder, engine, meter, until)
    history.record(recipe, made, meter, getattr(engine, "workers", 1))
    if json_output:
        _print_json(_summary(made))
        return
    mixture = made.manifests.get("mix")
    with printing():
        if mixture is not None:
            print(mixture.summary["table"])
        print(f"Built in {folder}")


def _summary(made: Any) -> dict[str, Any]:
    import dataclasses

    return {
        "output": made.output,
        "stages": {
            stage: {
                "folder": manifest.folder,
                "counts": {
                    source: dataclasses.asdict(manifest.counts(source))
                    for source in manifest.sources()
                },
            }
            for stage, manifest in made.manifests.items()
        },
    }


def _print_json(value: object) -> None:
    with printing():
        print(json.dumps(value, indent=1, ensure_ascii=False))


@app.command("build")
def build_command(
    config: Config = "mix.yaml",
    until: Annotated[
        str | None, typer.Option("--until", help="Last stage to make.", metavar="STAGE")
    ] = None,
    output: Output = None,
    engine: EngineName = "ray",
    workers: Workers = None,
    set_: Sets = None,
    json_output: Json = False,
) -> None:
    """Build the corpus of a recipe: what is there already is not made again.

    Example: corpus build --config pipelines/tiny/mix.yaml --set filter.alpha=3
    """
    _build(config, output, engine, workers, set_, json_output, until)


def _stage_verb(stage: str, what: str) -> None:
    def verb(
        config: Config = "mix.yaml",
        output: Output = None,
        engine: EngineName = "ray",
        workers: Workers = None,
        set_: Sets = None,
        json_output: Json = False,
    ) -> None:
        _build(config, output, engine, workers, set_, json_output, stage)

    verb.__doc__ = (
        f"{what}, and build what that needs.\n\n"
        f"Example: corpus {stage} --config pipelines/tiny/mix.yaml"
    )
    app.command(stage)(verb)


_stage_verb("crawl", "Fetch or find every input file")
_stage_verb("extract", "Write the text of every source")
_stage_verb("filter", "Score the quality of documents and draw which are kept")
_stage_verb("dedup", "Find near-duplicates within and across sources")


@app.command("decontaminate")
def decontaminate_command(
    config: Config = "mix.yaml",
    output: Output = None,
    engine: EngineName = "ray",
    workers: Workers = None,
    set_: Sets = None,
    report: Annotated[
        bool, typer.Option("--report", help="Say which benchmark examples are clean.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Cut benchmark text out of the corpus, and build what that needs.

    With --report: search what the corpus was and what it is now for the examples of the benchmarks,
    show a table like C.1 of the paper, and list the clean and the dirty ones.

    Example: corpus decontaminate --config pipelines/tiny/mix.yaml --report
    """
    if not report:
        _build(config, output, engine, workers, set_, json_output, "decontaminate")
        return
    from corpus import build, tables
    from corpus.config import load_recipe
    from corpus.engine import make_engine
    from corpus.look import overlap
    from corpus.progress import make_progress

    recipe = load_recipe(config, set_ or [])
    folder = output or build.default_output(recipe)
    with contextlib.closing(make_engine(engine, workers)) as chosen:
        made = build.build(recipe, folder, chosen, make_progress(json_output), "decontaminate")
        with contextlib.closing(make_progress(json_output)) as progress:
            evaluation = overlap.evaluate(made, chosen, progress)
    if json_output:
        _print_json(overlap.report(evaluation))
    else:
        tables.show(overlap.describe(evaluation))


_stage_verb("tokenize", "Write token shards")
_stage_verb("mix", "Mix the sources by weight")


app.command("train")(train_verbs.train)
app.command("evaluate")(evaluate_verb.evaluate)
app.command("plan")(plan_verb.plan)
app.command("inspect")(build_verbs.inspect)
app.command("explain")(build_verbs.explain)
app.command("check")(build_verbs.check)
app.command("export")(export_verb.export)
app.command("clean")(build_verbs.clean)
app.command("finetune")(finetune_verb.finetune)
app.command("report")(report_verbs.report_command)
app.command("diff")(report_verbs.diff)
app.command("ablate")(ablate_verb.ablate)
app.command("similar")(dedup_verbs.similar)
app.command("dedup-files")(dedup_verbs.dedup_files)
app.add_typer(classifier_verbs.app)
app.add_typer(tokenizer_verbs.app)
app.add_typer(model_verbs.app)


def main() -> None:
    """Run the command line and exit with its code."""
    import sys
    import traceback

    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments, prog_name="corpus", standalone_mode=True)
    except Exception as error:  # noqa: BLE001 - a defect of ours is one paragraph too
        if len(arguments) < len(sys.argv) - 1:
            traceback.print_exc()
        elif isinstance(error, CorpusError):
            print(f"corpus: error: {error}", file=sys.stderr)
        else:
            what = f"{type(error).__name__}: {error}"
            fix = "This is a defect of the program; run with --debug to see where."
            print(f"corpus: error: {what}. {fix}", file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, CorpusError) else 1)
    except SystemExit as done:
        if done.code == INTERRUPTED:  # Typer has caught the interrupt, and says nothing
            print("corpus: interrupted; the same command goes on from here", file=sys.stderr)
        raise
