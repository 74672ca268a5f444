"""Writes the models of this folder and what fastText itself says of some texts: `golden.json`.

`python tests/text/fasttext_models/make.py` needs the package fasttext 0.9.2 and NumPy 1 (0.9.3
reads memory that it has not set when it trains with one thread); the tests need neither. The text
that the models are trained on is made here, of words that are made up.
"""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

import fasttext

FOLDER = Path(__file__).resolve().parent
STARTS = ("ma", "ri", "lo", "tü", "ka", "сил")
ENDS = ("ver", "ne", "dow", "líñ", "水", "ket")
COMMON = {"input": "", "dim": 4, "epoch": 60, "lr": 0.5, "thread": 1, "verbose": 0}
# name: labels, training, quantisation (or none)
MODELS = {
    "softmax.bin": (2, {"wordNgrams": 2, "bucket": 200, "loss": "softmax"}, None),
    "words.bin": (2, {"loss": "softmax", "dim": 5}, None),
    "ova.bin": (3, {"loss": "ova", "minn": 2, "maxn": 4, "bucket": 150, "wordNgrams": 3}, None),
    "ns.bin": (3, {"loss": "ns", "minn": 1, "maxn": 2, "bucket": 100}, None),
    "hs.bin": (7, {"loss": "hs", "wordNgrams": 2, "bucket": 100}, None),
    "quantised.ftz": (
        2,
        {"loss": "softmax", "wordNgrams": 2, "bucket": 300, "dim": 5},
        {"dsub": 2, "qout": False},
    ),
    "pruned.ftz": (
        300,
        {"loss": "hs", "minn": 2, "maxn": 3, "bucket": 900, "wordNgrams": 2},
        {"dsub": 2, "qnorm": True, "qout": True, "cutoff": 300},
    ),
}


def sentence(generator: random.Random, label: int, words: int) -> str:
    """Return words of which each label prefers its own."""
    found = []
    for _ in range(words):
        start = (
            STARTS[label % len(STARTS)] if generator.random() < 0.6 else generator.choice(STARTS)
        )
        found.append(start + generator.choice(ENDS))
    return " ".join(found)


def texts() -> list[str]:
    """Return texts with everything that fastText reads in a way of its own."""
    generator = random.Random(3)
    plain = [sentence(generator, label, 1 + 7 * label) for label in range(7)]
    return [
        "",
        " \t\n ",
        "\0",
        *plain,
        "\n".join(plain),
        f"  {plain[1]}\r\n\t{plain[2]}\v\f{plain[3]}\0{plain[4]} \n\n",
        f"{plain[5]} </s> {plain[1]} {plain[1]}",
        f"{plain[5]}</s> </s {plain[1]}",
        f"__label__0 {plain[2]} __label__unheard __label__ __labe {plain[3]}",
        "unheard of words here, and ünheard öf önes: 漢字 かな 😀 e\u0301",
        "a",
        "é",
        "<> < >",
        "x\u00a0y\u2028z\u0085w\x1cv",
        "水" * 50,
        "ma" * 3000,
        " ".join(sentence(generator, 3, 40) for _ in range(60)),
        "Maver MAVER maver. maver, (maver)",
    ]


def main() -> None:
    """Train, save, predict."""
    golden = {"texts": texts(), "probabilities": {}}
    for name, (labels, settings, quantisation) in MODELS.items():
        generator = random.Random(name)
        lines = [
            f"__label__{i % labels} {sentence(generator, i % labels, generator.randrange(3, 12))}"
            # The first labels are met more often, so that the tree of `hs` is not balanced.
            for i in [*range(max(40, 2 * labels)), *[0] * 9, *[1] * 5]
        ]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.txt"
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            model = fasttext.train_supervised(**{**COMMON, **settings, "input": str(path)})
            if quantisation:
                model.quantize(**quantisation)
            model.save_model(str(FOLDER / name))
        model = fasttext.load_model(str(FOLDER / name))
        found = []
        for text in golden["texts"]:
            names, values = model.predict(text.replace("\n", " "), k=-1)
            given = dict(zip(names, (round(float(value), 9) for value in values), strict=True))
            found.append([given.get(f"__label__{i}") for i in range(min(labels, 5))])
        golden["probabilities"][name] = found
    text = json.dumps(golden, ensure_ascii=True, indent=0) + "\n"
    (FOLDER / "golden.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
