"""A small model from real pages to its marks: build, vocabulary, training, evaluation, a sample.

`python benchmarks/small_model.py [DATA]` builds a corpus of DATA's crawl, Wikipedia, news and books
(by default `$CORPUS_TEST_DATA`), trains a vocabulary and a model of 3.4 million parameters on it in
ten minutes on one core, and evaluates it: held-out text, LAMBADA, and arithmetic with 0 and few
examples. Nothing of this size answers anything; it shows that the whole way is there.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ablation import ROOT, corpus

RECIPE = """
name: small
seed: 2020
tokens: {tokens}
sources:
  wikipedia: {{weight: 0.1, wikipedia: "{data}/wikipedia/enwiki-*.bz2"}}
  books1: {{weight: 0.4, documents: "{data}/books/books.jsonl.zst"}}
  webtext2: {{weight: 0.3, documents: "{data}/webtext/news.jsonl.zst"}}
  common_crawl: {{weight: 0.2, filter: true, warc: "{data}/commoncrawl/**/warc/*.warc.gz"}}
extract: {{extractor: resiliparse}}
filter:
  classifier: "{root}/classifiers/quality"
  alpha: 3
  heuristics: [gopher]
  languages: {{en: 0.65}}
dedup: {{preset: fineweb, threshold: 0.8}}
decontaminate: {{benchmarks: "{data}/benchmarks/*.jsonl.zst"}}
tokenize: {{vocabulary: "{vocabulary}"}}
mix: {{sequence_length: 128, validation: 0.01, max_epochs: 1000}}
"""
TRAIN = """
mixture: {folder}/corpus
output: {folder}/model
seed: 1
model: {{n_layer: 4, n_head: 4, d_model: 192, context: 128}}
tokens: {tokens}
batch_sequences: 8
micro_batch: 8
optimizer: {{learning_rate: 2e-3, warmup_tokens: {warmup}}}
validation: {{every: 500, sequences: 64}}
checkpoint: {{every: 200, keep: 2}}
sample: {{prompt: "The old man", tokens: 120, temperature: 0.8}}
"""
EVALUATE = """
model: {folder}/model
output: {folder}/evaluation
seed: 1
lm:
  - {{name: held_out, mixture: {folder}/corpus}}
tasks:
  - {{task: lambada, path: "{data}/benchmarks/lambada_test.jsonl.zst", limit: 200}}
  - {{task: two_digit_addition, generate: 100, shots: [0, few], beams: 1}}
"""


def main() -> None:
    """Build, train and evaluate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default=os.environ.get("CORPUS_TEST_DATA"))
    parser.add_argument("--folder", default="data/benchmark-small-model")
    parser.add_argument("--tokens", type=int, default=1_800_000)
    parser.add_argument("--vocabulary", type=int, default=8192)
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
        "warmup": chosen.tokens // 20,
        "vocabulary": "gpt2",
    }
    recipe, output = folder / "mix.yaml", str(folder / "corpus")

    def build(until: str) -> None:
        recipe.write_text(RECIPE.format(**words))
        where = ("--config", str(recipe), "--output", output, "--until", until)
        corpus("build", *where, "--engine", "local", "--workers", chosen.workers)

    build("decontaminate")
    tokenizer = folder / "tokenizer"
    if not (tokenizer / "tokenizer.json").exists():
        size = ("--size", str(chosen.vocabulary))
        corpus("tokenizer", "train", "--to", str(tokenizer), *size, "--output", output)
    words["vocabulary"] = str(tokenizer / "tokenizer.json")
    build("mix")
    for name, text in (("train", TRAIN), ("evaluate", EVALUATE)):
        (folder / f"{name}.yaml").write_text(text.format(**words))
    corpus("train", "--config", str(folder / "train.yaml"))
    corpus("evaluate", "--config", str(folder / "evaluate.yaml"))


if __name__ == "__main__":
    main()
