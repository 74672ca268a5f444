"""What pretraining is worth on a task with few labels: GPT-1's Table 5 at the size of a laptop.

`python benchmarks/finetune.py DATA [--work DIR] [--tokens N] [--labels N] [--seeds N]`

DATA is a folder with `webtext/news.jsonl.zst` (BBC articles of five topics, and others),
`books/books.jsonl.zst` and `wikipedia/wikitext2.valid.txt.zst`. Half of the BBC's articles are held
out, 100 to look at and the others for the test; the topics of a few of the other half are the
labels that are trained on. All text but the held-out articles is a corpus: it is built with a
vocabulary of its own, decontaminated of the held-out articles, and a small model is trained on it.
That model is fine-tuned, and so is one of random weights, each with and without the language
model's part of the objective. Everything runs on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from corpus.mix import permutation

SETTINGS: dict[str, dict[str, Any]] = {
    "pretrained, with aux LM": {},
    "pretrained, without aux LM": {"lm_weight": 0.0},
    "random weights, with aux LM": {"initialization": "random"},
    "random weights, without aux LM": {"initialization": "random", "lm_weight": 0.0},
}
# Of the paper's values those that go with the size of the model are changed: a small model takes a
# higher rate, and few labels take more passes.
SMALL = {
    "learning_rate": 5e-4,
    "epochs": 10,
}


def read(path: Path) -> str:
    with zstandard.open(path, "rt", encoding="utf-8") as file:
        return file.read()


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def inputs(data: Path, work: Path, labels: int) -> None:
    """Write the corpus, the labelled articles and the held-out ones."""
    news = [json.loads(line) for line in read(data / "webtext/news.jsonl.zst").splitlines()]
    bbc = [row for row in news if row["set"] == "bbc"]
    bbc.sort(key=lambda row: permutation.key("benchmark", row["id"]))
    half = len(bbc) // 2
    task = [{"text": f"{r['title']}\n{r['text']}", "label": r["category"]} for r in bbc]
    write(work / "train.jsonl", task[:labels])
    write(work / "validation.jsonl", task[half : half + 100])
    write(work / "test.jsonl", task[half + 100 :])
    others = [row["text"] for row in news if row["set"] != "bbc"]
    texts = {
        "news": [row["text"] for row in task[:half]] + others,
        "books": [
            json.loads(line)["text"] for line in read(data / "books/books.jsonl.zst").splitlines()
        ],
        "wikipedia": read(data / "wikipedia/wikitext2.valid.txt.zst").split("\n = "),
    }
    for name, rows in texts.items():
        write(work / f"{name}.jsonl", [{"text": text} for text in rows if text.strip()])


def recipes(work: Path, tokens: int) -> None:
    """Write the recipe of the corpus and that of the model."""
    mix: dict[str, Any] = {
        "name": "finetune-benchmark",
        "seed": 2020,
        "tokens": tokens,
        "sources": {
            "news": {"weight": 0.6, "documents": "news.jsonl"},
            "wikipedia": {"weight": 0.1, "documents": "wikipedia.jsonl"},
            "books": {"weight": 0.3, "documents": "books.jsonl"},
        },
        "dedup": {"preset": "fineweb", "max_loss": 1.0},
        "decontaminate": {
            "benchmarks": {
                "held_out": {"paths": ["validation.jsonl", "test.jsonl"], "fields": ["text"]}
            }
        },
        "tokenize": {"vocabulary": "vocabulary/ranks.tiktoken"},
        "mix": {"sequence_length": 128, "validation": 0.02, "max_epochs": 20},
    }
    (work / "mix.yaml").write_text(json.dumps(mix))
    model = {
        "mixture": str(work / "build"),
        "output": str(work / "model"),
        "seed": 2020,
        "model": {"n_layer": 4, "n_head": 4, "d_model": 128, "context": 128},
        "tokens": tokens,
        "batch_sequences": 16,
        "micro_batch": 16,
        "device": "cpu",
        "optimizer": {"learning_rate": 2e-3, "warmup_tokens": tokens // 20},
        "sample": {"tokens": 64},
    }
    (work / "train.yaml").write_text(json.dumps(model))


def corpus(*arguments: str) -> None:
    """Run one verb on one thread, its output aside."""
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "corpus", *arguments],
        env={**os.environ, **one_thread},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)


def finetune(work: Path, name: str, changes: dict[str, Any], seed: int) -> dict[str, Any]:
    """Fine-tune and return what `results.json` says of the held-out articles."""
    output = work / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    recipe = {
        "model": str(work / "model"),
        "output": str(output),
        "seed": seed,
        "task": {
            "kind": "classification",
            "train": str(work / "train.jsonl"),
            "validation": str(work / "validation.jsonl"),
            "test": str(work / "test.jsonl"),
            "fields": {"text": "text", "label": "label"},
        },
        "device": "cpu",
        "epochs": SMALL["epochs"],
        "optimizer": {"learning_rate": SMALL["learning_rate"]},
        **changes,
    }
    path = work / f"{output.name}.yaml"
    path.write_text(json.dumps(recipe))
    corpus("finetune", "--config", str(path))
    found: dict[str, Any] = json.loads((output / "results.json").read_text())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("data/finetune-benchmark"))
    parser.add_argument("--tokens", type=int, default=1_000_000, help="of the pretraining")
    parser.add_argument("--labels", type=int, default=200, help="labelled articles")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each")
    options = parser.parse_args()
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    inputs(options.data, work, options.labels)
    recipes(work, options.tokens)
    place = ("--config", str(work / "mix.yaml"), "--output", str(work / "build"))
    start = time.perf_counter()
    corpus("build", *place, "--engine", "local", "--workers", "1", "--until", "decontaminate")
    if not (work / "vocabulary/ranks.tiktoken").exists():
        corpus("tokenizer", "train", *place, "--to", str(work / "vocabulary"), "--size", "4096")
    corpus("build", *place, "--engine", "local", "--workers", "1")
    built = time.perf_counter()
    corpus("train", "--config", str(work / "train.yaml"))
    trained = time.perf_counter()
    metrics = [json.loads(line) for line in (work / "model/metrics.jsonl").open()]
    print(
        f"corpus in {built - start:.0f} s, model in {trained - built:.0f} s, held-out loss "
        + ", ".join(f"{k} {v:.2f}" for k, v in metrics[-1]["validation"].items())
    )
    for name, changes in SETTINGS.items():
        began = time.perf_counter()
        runs = [finetune(work, name, changes, seed) for seed in range(1, options.seeds + 1)]
        seconds = (time.perf_counter() - began) / len(runs)
        found = [run["evaluations"]["test"]["measures"]["accuracy"] for run in runs]
        first, values = found[0], [one["value"] for one in found]
        print(
            f"{name:<32} accuracy {np.mean(values):.3f} (of {len(values)} seeds "
            f"{min(values):.3f} to {max(values):.3f}; 95 % of the first {first['low']:.3f} to "
            f"{first['high']:.3f}), majority {first['baseline']:.3f}, {seconds:.0f} s a run",
            flush=True,
        )


if __name__ == "__main__":
    main()
