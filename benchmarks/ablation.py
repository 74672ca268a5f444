"""Whether filtering and deduplication help: the ablation of a raw crawl against a cleaned one.

`python benchmarks/ablation.py [DATA]` makes two builds of the archives in DATA/commoncrawl (by
default `$CORPUS_TEST_DATA`), one with every page that has text, one filtered by language, Gopher's
rules and the shipped classifier and deduplicated; trains one vocabulary on the raw one; and trains
the same small model on each, three seeds, equal tokens. What is measured is text of other sources
that neither has seen: news, notes, and chapters of books. Whichever way it falls, it is printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (
    'common_crawl: {{weight: 1, filter: {filtered}, warc: "{data}/commoncrawl/**/warc/*.warc.gz"}}'
)
CLEAN = """
filter:
  classifier: "{root}/classifiers/quality"
  alpha: {alpha}
  heuristics: [gopher]
  languages: {{en: 0.65}}
dedup: {{preset: fineweb, threshold: 0.8}}
"""
RECIPE = """
name: {name}
seed: 2020
tokens: {tokens}
sources:
  {sources}
extract: {{extractor: resiliparse}}
{clean}
tokenize: {{vocabulary: "{vocabulary}"}}
mix: {{sequence_length: {context}, validation: 0.01, max_epochs: 1000}}
"""
TRAIN = """
mixture: {folder}/raw
output: {folder}/model
seed: 1
model: {{n_layer: 4, n_head: 4, d_model: 128, context: {context}}}
tokens: {tokens}
batch_sequences: 16
micro_batch: 16
optimizer: {{learning_rate: 2e-3, warmup_tokens: {warmup}}}
validation: {{every: 1000000, sequences: 32}}
checkpoint: {{every: 1000000, keep: 1}}
sample: {{tokens: 32}}
"""
EVALUATE = """
model: {folder}/model
output: {folder}/evaluation
seed: 1
lm:
  - {{name: news, path: "{data}/webtext/news.jsonl.zst", limit: 150}}
  - {{name: notes, path: "{data}/webtext/til.jsonl.zst", limit: 150}}
  - {{name: wikitext, path: "{data}/wikipedia/wikitext2.valid.txt.zst", detokenizer: wikitext,
     document: line, limit: 600}}
"""
ABLATE = """
output: {folder}/ablation
builds: {{raw: {folder}/raw, clean: {folder}/clean}}
train: {folder}/train.yaml
evaluate: {folder}/evaluate.yaml
seeds: [1, 2, 3]
"""


def corpus(*arguments: str) -> None:
    """Run a verb of the command line."""
    subprocess.run([sys.executable, "-m", "corpus", *arguments], check=True, cwd=ROOT)


def main() -> None:
    """Make both builds, and compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default=os.environ.get("CORPUS_TEST_DATA"))
    parser.add_argument("--folder", default="data/benchmark-ablation")
    parser.add_argument("--tokens", type=int, default=400_000)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--alpha", type=float, default=3)
    parser.add_argument("--workers", default="2")
    chosen = parser.parse_args()
    if chosen.data is None:
        parser.error("name the folder of data, or set CORPUS_TEST_DATA")
    folder = Path(chosen.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    words = {
        "data": Path(chosen.data).resolve(),
        "root": ROOT,
        "folder": folder,
        "tokens": chosen.tokens,
        "context": chosen.context,
        "warmup": chosen.tokens // 20,
        "alpha": chosen.alpha,
        "vocabulary": "gpt2",
    }

    def build(name: str, *, clean: bool, until: str) -> None:
        sources = SOURCES.format(filtered=str(clean).lower(), **words)
        recipe = folder / f"{name}.yaml"
        filled = {"name": name, "sources": sources, "clean": CLEAN.format(**words) if clean else ""}
        recipe.write_text(RECIPE.format(**words, **filled))
        where = ("--config", str(recipe), "--output", str(folder / name))
        corpus("build", *where, "--engine", "local", "--workers", chosen.workers, "--until", until)

    build("raw", clean=False, until="extract")
    tokenizer = folder / "tokenizer"
    if not (tokenizer / "tokenizer.json").exists():
        size = ("--size", str(chosen.vocabulary))
        corpus("tokenizer", "train", "--to", str(tokenizer), *size, "--output", str(folder / "raw"))
    words["vocabulary"] = str(tokenizer / "tokenizer.json")
    build("raw", clean=False, until="mix")
    build("clean", clean=True, until="mix")
    for name, text in (("train", TRAIN), ("evaluate", EVALUATE), ("ablate", ABLATE)):
        (folder / f"{name}.yaml").write_text(text.format(**words))
    corpus("ablate", "--config", str(folder / "ablate.yaml"))


if __name__ == "__main__":
    main()
