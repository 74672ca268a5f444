"""The verbs that show builds to others: report, diff."""

from __future__ import annotations

from typing import Annotated

import typer

from corpus.verbs.builds import build_of
from corpus.verbs.options import Config, Json, Output
from corpus.verbs.printing import show


def report_command(
    config: Config = "mix.yaml", output: Output = None, json_output: Json = False
) -> None:
    """Write report/index.html: the funnel, what was dropped, duplicates, the mix, with plots.

    The page is one file that opens without a network. With --json the facts are printed instead.

    Example: corpus report --config pipelines/tiny/mix.yaml
    """
    from corpus import storage
    from corpus.report.facts import gather
    from corpus.report.page import page

    build = build_of(config, output)
    report = gather(build)
    if json_output:
        show(report, (), json_output=True)
        return
    path = storage.join(build.output, "report", "index.html")
    storage.write_bytes(path, page(report).encode())
    typer.echo(path)


def diff(
    before: Annotated[str, typer.Argument(help="Output folder of a build.", metavar="BEFORE")],
    after: Annotated[str, typer.Argument(help="Output folder of another.", metavar="AFTER")],
    json_output: Json = False,
) -> None:
    """Compare two builds: recipes, counts, and which documents only one of them keeps, and why.

    Example: corpus diff data/tiny data/tiny-alpha-3
    """
    from corpus.build import read_build
    from corpus.report.difference import describe, difference

    found = difference(read_build(before.rstrip("/") or "/"), read_build(after.rstrip("/") or "/"))
    show(found, describe(found), json_output)
