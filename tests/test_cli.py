"""The command line: exit codes, one-paragraph errors, and nothing heavy before it is needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corpus import build as build_module
from corpus.cli import main
from tests.made import text, write_jsonl

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ["ray", "torch", "sklearn", "trafilatura", "numba", "numpy", "pyarrow", "scipy", "fsspec"]
VERBS = ["crawl", "extract", "filter", "dedup", "decontaminate", "tokenize", "mix"]
RECIPE = """name: small
seed: 1
tokens: 1000
sources:
  a:
    weight: 1
    documents: "*.jsonl"
tokenize: {}
mix: {sequence_length: 8}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    for number in range(3):
        rows = [{"text": text(f"{number} {i}")} for i in range(10)]
        write_jsonl(tmp_path / f"{number}.jsonl", rows)
    path = tmp_path / "mix.yaml"
    path.write_text(RECIPE)
    return path


def corpus(*arguments: object, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["corpus", *map(str, arguments)])
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


class Run:
    """Runs the command and keeps what it printed."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], recipe: Path
    ) -> None:
        self.monkeypatch, self.capfd, self.recipe = monkeypatch, capfd, recipe
        self.output = recipe.parent / "out"
        self.out = self.error = ""

    def __call__(self, verb: str, *more: object, config: object = None) -> int:
        local = ("--engine", "local", "--workers", "0", "--output", self.output)
        given = (verb, "--config", config or self.recipe, *local, *more)
        self.capfd.readouterr()
        code = corpus(*given, monkeypatch=self.monkeypatch)
        self.out, self.error = self.capfd.readouterr()
        return code


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], recipe: Path) -> Run:
    return Run(monkeypatch, capfd, recipe)


def is_one_paragraph(error: str) -> bool:
    """Say whether an error is one paragraph that begins as ours do, without a traceback."""
    own = error[error.index("corpus: error: ") :] if "corpus: error: " in error else ""
    return bool(own) and "\n\n" not in own.strip() and "Traceback" not in error


# --- done as asked: 0


def test_build_shows_the_stages_the_mixture_and_where_it_is(run: Run) -> None:
    assert run("build") == 0
    assert "source  tokens" in run.out
    assert run.out.endswith(f"Built in {run.output}\n")
    assert "extract: 30 documents in, 30 kept" in run.error
    assert list(build_module.read_build(str(run.output)).manifests) == [
        "crawl",
        "extract",
        "tokenize",
        "mix",
    ]


def test_json_is_all_that_is_printed_and_parses(run: Run) -> None:
    assert run("build", "--json") == 0
    value = json.loads(run.out)
    assert run.error == ""
    assert value["output"] == str(run.output)
    assert list(value["stages"]) == ["crawl", "extract", "tokenize", "mix"]
    assert value["stages"]["extract"]["counts"] == {"a": {"into": 30, "kept": 30, "dropped": {}}}
    assert Path(value["stages"]["mix"]["folder"], "mixture.json").exists()


@pytest.mark.parametrize("verb", ["crawl", "extract", "tokenize", "mix"])
def test_verb_of_a_stage_builds_up_to_that_stage(run: Run, verb: str) -> None:
    assert run(verb) == 0
    assert list(build_module.read_build(str(run.output)).manifests)[-1] == verb
    assert run("build", "--until", verb) == 0
    assert "shards" not in run.error  # nothing was left to make


def test_set_changes_the_recipe(run: Run) -> None:
    assert run("mix", "--set", "tokens=800", "--set", "mix.sequence_length=16") == 0
    assert "mix: 50 sequences, 800 tokens" in run.error


def test_output_is_in_the_working_directory_unless_it_is_given(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    given = ["crawl", "-c", recipe, "--engine", "local", "--workers", 0]
    assert corpus(*given, monkeypatch=monkeypatch) == 0
    assert (tmp_path / "elsewhere" / "data" / "small" / "build.json").exists()


# --- the recipe or the command line is wrong: 2


def test_missing_recipe_is_a_wrong_command_line(run: Run) -> None:
    assert run("build", config=run.recipe.parent / "none.yaml") == 2
    assert is_one_paragraph(run.error)
    assert run.error.startswith(f"corpus: error: {run.recipe.parent}/none.yaml: there is no such")
    assert "--config" in run.error


def test_unknown_key_is_named_with_file_line_and_the_nearest_one(run: Run) -> None:
    run.recipe.write_text(RECIPE.replace("weight", "wieght"))
    assert run("build") == 2
    assert f"{run.recipe}:6: sources.a.wieght: there is no such key; did you mean weight?" in (
        run.error
    )
    assert is_one_paragraph(run.error)
    assert run.out == ""
    assert not run.output.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "tokens=many"], "--set: tokens: "),
        (["--set", "tokens"], "'tokens' is not key=value"),
        (["--until", "fliter"], "--until: there is no stage 'fliter'"),
        (["--until", "dedup"], "the recipe has no dedup section"),
        (["--engine", "spark"], "--engine: there is no engine 'spark'"),
        (["--workers", "-1"], "--workers: -1 workers cannot run anything"),
        (["--workers", "few"], "Invalid value for '--workers'"),
        (["--wrokers", "2"], "wrokers"),
        (["extra"], "extra"),
    ],
)
def test_wrong_option_is_exit_code_2(run: Run, arguments: list[str], message: str) -> None:
    assert run("build", *arguments) == 2
    assert message in run.error
    assert "Traceback" not in run.error
    assert run.out == ""


def test_unknown_verb_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert corpus("biuld", monkeypatch=monkeypatch) == 2
    assert "biuld" in capfd.readouterr().err


# --- a stage failed: 1


def test_missing_input_is_exit_code_1_with_the_path_and_the_key(run: Run) -> None:
    assert run("build", "--set", "sources.a.documents=/none/*.jsonl") == 1
    assert is_one_paragraph(run.error)
    assert "/none/*.jsonl: no file matches this pattern" in run.error
    assert "sources.a" in run.error


@pytest.mark.parametrize("output", ["/sys/out", "file/out"])
def test_output_that_cannot_be_written_is_exit_code_1(
    run: Run, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/sys takes no files, not even from root, and nothing lies below a file."""
    (run.recipe.parent / "file").write_text("")
    monkeypatch.chdir(run.recipe.parent)
    assert run("build", "--output", output) == 1
    assert is_one_paragraph(run.error)
    assert output.split("/out")[0] in run.error
    assert "Choose a folder that you may write to" in run.error


def test_folder_that_another_build_holds_is_exit_code_1(run: Run) -> None:
    from corpus import storage

    with storage.lock(str(run.output)):
        assert run("build") == 1
    assert "another run is at work in this folder" in run.error
    assert run("build") == 0


def test_json_of_a_build_that_failed_is_nothing(run: Run) -> None:
    assert run("build", "--json", "--set", "sources.a.documents=/none") == 1
    assert run.out == ""
    assert is_one_paragraph(run.error)


def test_defect_of_the_program_is_one_paragraph_too(run: Run) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("by nothing")

    run.monkeypatch.setattr(build_module, "build", broken)
    assert run("build") == 1
    assert is_one_paragraph(run.error)
    assert "ZeroDivisionError: by nothing" in run.error
    assert "--debug" in run.error


def test_debug_shows_where_an_error_is_from(run: Run) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "corpus", "build", "--debug", "--config", "/none.yaml"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "Traceback (most recent call last)" in process.stderr
    assert "/none.yaml: there is no such file" in process.stderr
    assert process.returncode == 2


# --- interrupted: 130


@pytest.mark.parametrize("whom", ["all", "parent"])
def test_interrupt_is_exit_code_130_and_the_same_command_goes_on(
    tmp_path: Path, run: Run, whom: str
) -> None:
    """From the keyboard all processes get it, from a supervisor perhaps the first alone."""
    slow = "\n".join(json.dumps({"text": f"{i} {text(1, 400)}"}) for i in range(200)) * 30
    for number in range(6):
        (tmp_path / f"slow-{number}.jsonl").write_text(slow)
    command = [sys.executable, "-m", "corpus", "extract", "-c", str(run.recipe)]
    command += ["--engine", "local", "--workers", "2", "--output", str(run.output)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        for _ in range(600):
            if list(run.output.glob("extract-*/*/*")):
                break
            time.sleep(0.02)
        if whom == "all":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert error.endswith("corpus: interrupted; the same command goes on from here\n")
    assert "Built" not in out
    for path in tmp_path.glob("slow-*.jsonl"):
        path.unlink()
    assert run("extract") == 0


# --- help


def test_help_loads_nothing_heavy_and_answers_at_once() -> None:
    code = (
        "import json, resource, sys\n"
        "from corpus.cli import main\n"
        "sys.argv = ['corpus', *sys.argv[1:]]\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(json.dumps([heavy, used.ru_utime + used.ru_stime]), file=sys.stderr)\n"
    )
    for arguments in (["--help"], ["build", "--help"]):
        found = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        heavy, seconds = json.loads(found.stderr.splitlines()[-1])
        assert heavy == []
        assert seconds < 0.5
        assert "Usage: corpus" in found.stdout


def test_help_names_every_verb_and_each_has_an_example(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert corpus("--help", monkeypatch=monkeypatch) == 0
    general = capfd.readouterr().out
    for verb in ["build", *VERBS]:
        assert f"  {verb} " in general
        assert corpus(verb, "--help", monkeypatch=monkeypatch) == 0
        assert f"corpus {verb} --config" in capfd.readouterr().out


# --- odd invocations


@pytest.mark.parametrize("words", [("--output", ""), ("--output", "  "), ("--config", "")])
@pytest.mark.parametrize("verb", ["crawl", "inspect", "report"])
def test_empty_name_of_a_folder_is_not_the_default(
    verb: str,
    words: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """`--output "$OUT"` of a variable that is not set would build, or look, somewhere else."""
    assert corpus(verb, *words, monkeypatch=monkeypatch) == 2
    assert "it is empty" in capfd.readouterr().err


@pytest.mark.parametrize("key", ["\udcff\udcfe", "https://x.example/\udce9"])
def test_key_that_is_no_text_is_not_found_and_no_defect(run: Run, key: str) -> None:
    assert run("extract") == 0
    words = ("explain", key, "--output", run.output)
    assert corpus(*words, monkeypatch=run.monkeypatch) == 1
    error = run.capfd.readouterr().err
    assert "no document or page has the id or URL" in error
    assert is_one_paragraph(error[error.index("corpus: error") :])


def test_output_that_cannot_be_written_is_said_in_a_line(run: Run) -> None:
    assert run("extract") == 0
    command = [sys.executable, "-m", "corpus", "inspect", "--json", "--output", str(run.output)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120
        )
    assert done.returncode == 1
    said = "the standard output cannot be written. No space left on device."
    assert done.stderr == f"corpus: error: {said}\n"


def test_similar_to_nothing_is_refused_and_to_a_name_without_a_file_is_told(run: Run) -> None:
    assert run("dedup", "--set", "dedup={}") == 0
    build = ("--output", run.output)
    assert corpus("similar", " ", *build, monkeypatch=run.monkeypatch) == 2
    assert "there is no text" in run.capfd.readouterr().err
    assert corpus("similar", "page.txt", *build, monkeypatch=run.monkeypatch) == 0
    assert "There is no file page.txt: it is taken for the text" in run.capfd.readouterr().err
    assert corpus("similar", "two words.", *build, monkeypatch=run.monkeypatch) == 0
    assert "no file" not in run.capfd.readouterr().err
