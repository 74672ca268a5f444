"""The heuristic rules against datatrove's, on the same documents: verdicts rule by rule, and speed.

`python benchmarks/rules.py --datatrove PYTHON FILE...` takes Parquet files with a column `text`
(the documents of a build: `extract-*/SOURCE/part-*.parquet`) and an interpreter that has datatrove
and spaCy. Each rule is asked alone, with the paper's threshold, and datatrove splits words at white
space, as we do; then the four filters are asked in a row, as each side has them by default, and
timed. `--show RULE` prints the documents that the two sides decide differently about.

The datatrove side is this file as well, run by that interpreter with texts in an Arrow file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

# For each rule: our set and what of it is asked; datatrove's filter and what of it is asked.
RULES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "few_words": ("quality", {"minimum_words": 50}, "quality", {"min_doc_words": 50}),
    "many_words": ("quality", {"maximum_words": 10_000}, "quality", {"max_doc_words": 10_000}),
    "short_words": (
        *("quality", {"minimum_mean_word_length": 3}),
        *("quality", {"min_avg_word_length": 3}),
    ),
    "long_words": (
        *("quality", {"maximum_mean_word_length": 10}),
        *("quality", {"max_avg_word_length": 10}),
    ),
    "symbols": (
        "quality",
        {"maximum_symbol_ratio": 0.1},
        "quality",
        {"max_symbol_word_ratio": 0.1},
    ),
    "bullet_lines": (
        *("quality", {"maximum_bullet_lines": 0.9}),
        *("quality", {"max_bullet_lines_ratio": 0.9}),
    ),
    "ellipsis_lines": (
        *("quality", {"maximum_ellipsis_lines": 0.3}),
        *("quality", {"max_ellipsis_lines_ratio": 0.3}),
    ),
    "alphabetic_words": (
        *("quality", {"minimum_alphabetic_words": 0.8}),
        *("quality", {"max_non_alpha_words_ratio": 0.8}),
    ),
    "stop_words": ("quality", {"minimum_stop_words": 2}, "quality", {"min_stop_words": 2}),
    "duplicate_lines": (
        *("repetition", {"maximum_duplicate_lines": 0.3}),
        *("repetition", {"dup_line_frac": 0.3}),
    ),
    "duplicate_paragraphs": (
        *("repetition", {"maximum_duplicate_paragraphs": 0.3}),
        *("repetition", {"dup_para_frac": 0.3}),
    ),
    "duplicate_line_characters": (
        *("repetition", {"maximum_duplicate_line_characters": 0.2}),
        *("repetition", {"dup_line_char_frac": 0.2}),
    ),
    "duplicate_paragraph_characters": (
        *("repetition", {"maximum_duplicate_paragraph_characters": 0.2}),
        *("repetition", {"dup_para_char_frac": 0.2}),
    ),
    **{
        f"top_{n}_gram": (
            *("repetition", {"maximum_top_ngram_characters": {n: share}}),
            *("repetition", {"top_n_grams": ((n, share),)}),
        )
        for n, share in ((2, 0.2), (3, 0.18), (4, 0.16))
    },
    **{
        f"duplicate_{n}_grams": (
            *("repetition", {"maximum_duplicate_ngram_characters": {n: share}}),
            *("repetition", {"dup_n_grams": ((n, share),)}),
        )
        for n, share in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.1))
    },
    "page_phrase: {": (
        *("c4", {"page_phrases": ("{",)}),
        *("c4", {"filter_curly_bracket": True}),
    ),
    "few_sentences": (
        "c4",
        {"minimum_sentences": 3, "minimum_words_per_line": 5, "terminal_punctuation": True},
        "c4",
        {"min_num_sentences": 3, "min_words_per_line": 5, "filter_no_terminal_punct": True},
    ),
    "punctuated_lines": (
        *("fineweb", {"minimum_punctuated_lines": 0.12}),
        *("fineweb", {"line_punct_thr": 0.12}),
    ),
    "duplicate_characters": (
        *("fineweb", {"maximum_duplicate_line_characters": 0.1}),
        *("fineweb", {"char_duplicates_ratio": 0.1}),
    ),
    "short_lines": (
        *("fineweb", {"maximum_short_lines": 0.67}),
        *("fineweb", {"short_line_thr": 0.67}),
    ),
    "line_breaks": ("fineweb", {"maximum_line_breaks": 0.3}, "fineweb", {"new_line_ratio": 0.3}),
}
SETS = ("quality", "repetition", "c4", "fineweb")


def in_datatrove(texts: list[str]) -> dict[str, Any]:
    """Return datatrove's verdicts: dropped or not by rule and by set, and processor seconds."""
    from datatrove.data import Document
    from datatrove.pipeline import filters
    from datatrove.pipeline.filters import (
        fineweb_quality_filter,
        gopher_quality_filter,
        gopher_repetition_filter,
    )
    from datatrove.utils import text as datatrove_text

    modules = (fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter)

    def split_at(words: Callable[[str, str], list[str]]) -> None:
        for module in modules:
            module.split_into_words = words

    quality = dict.fromkeys(
        (
            *("min_doc_words", "max_doc_words", "min_avg_word_length", "max_avg_word_length"),
            *("max_symbol_word_ratio", "max_bullet_lines_ratio", "max_ellipsis_lines_ratio"),
            *("max_non_alpha_words_ratio", "min_stop_words"),
        )
    )
    repetition: dict[str, Any] = dict.fromkeys(
        ["dup_line_frac", "dup_para_frac", "dup_line_char_frac", "dup_para_char_frac"]
    )
    off = {
        "quality": quality,
        "repetition": {**repetition, "top_n_grams": (), "dup_n_grams": ()},
        "c4": {
            **dict.fromkeys(["filter_no_terminal_punct", "filter_lorem_ipsum"], False),
            **dict.fromkeys(["filter_curly_bracket"], False),
            **dict.fromkeys(["min_num_sentences", "min_words_per_line"], -1),
        },
        "fineweb": {
            "line_punct_thr": -1.0,
            **dict.fromkeys(["short_line_thr", "char_duplicates_ratio"], 2.0),
            "new_line_ratio": 1e9,
        },
    }
    kinds = {
        "quality": filters.GopherQualityFilter,
        "repetition": filters.GopherRepetitionFilter,
        "c4": filters.C4QualityFilter,
        "fineweb": filters.FineWebQualityFilter,
    }

    def dropped(one: Any, text: str) -> bool:
        result = one.filter(Document(text=text, id=""))
        return not (result[0] if isinstance(result, tuple) else result)

    split_at(lambda text, language: text.split())
    verdicts = {}
    for name, (_, _, kind, asked) in RULES.items():
        one = kinds[kind](**{**off[kind], **asked})
        verdicts[name] = [dropped(one, text) for text in texts]
    # The paper's thresholds, where datatrove's defaults are others.
    given = {
        "c4": {"min_num_sentences": 3, "min_words_per_line": 5},
        "fineweb": {"char_duplicates_ratio": 0.1, "new_line_ratio": 1e9},
    }
    every = {name: kinds[name](**given.get(name, {})) for name in SETS}
    for name, one in every.items():
        verdicts[f"all of {name}"] = [dropped(one, text) for text in texts]
    seconds = {}
    splitters = {"white space": lambda text, language: text.split()}
    for words, splitter in {**splitters, "spaCy": datatrove_text.split_into_words}.items():
        split_at(splitter)
        sample = texts if words == "white space" else texts[:500]
        any(one.filter(Document(text="Warm up.", id="")) for one in every.values())
        datatrove_text.split_into_parts.cache_clear()
        start = time.process_time()
        for text in sample:
            any(dropped(one, text) for one in every.values())
        seconds[words] = (time.process_time() - start) / len(sample)
    return {"verdicts": verdicts, "seconds": seconds}


def in_ours(texts: pa.LargeStringArray) -> dict[str, Any]:
    """Return our verdicts: dropped or not by rule and by set, and processor seconds."""
    from dataclasses import replace

    from corpus.config import Filter
    from corpus.filter.rules import rule_sets
    from corpus.text import heuristics
    from corpus.text.c4 import C4
    from corpus.text.fineweb import FineWeb
    from corpus.text.gopher import GopherQuality, GopherRepetition

    settings = Filter.model_validate({"heuristics": ["gopher", "c4", "fineweb"]}).heuristics
    every = dict(zip(SETS, rule_sets(settings), strict=True))
    marks, stop_words = every["fineweb"].end_marks, every["quality"].stop_words  # type: ignore[union-attr]
    lines = every["c4"].line_phrases  # type: ignore[union-attr]
    off = {
        "quality": GopherQuality(*([None] * 8), stop_words, None),  # type: ignore[arg-type]
        "repetition": GopherRepetition(None, None, None, None, {}, {}),
        "c4": C4(False, None, 1000, lines, (), (), None),
        "fineweb": FineWeb(None, marks, None, 30, None, None),
    }

    def dropped(rules: Iterable[Any]) -> list[bool]:
        reasons, _ = heuristics.verdicts(texts, rule_sets=tuple(rules))
        return reasons.is_valid().to_pylist()  # type: ignore[no-any-return]

    verdicts = {name: dropped([replace(off[k], **a)]) for name, (k, a, _, _) in RULES.items()}
    for name, rules in every.items():
        verdicts[f"all of {name}"] = dropped([rules])
    seconds = {}
    sets = {"gopher": SETS[:2], "c4": SETS[2:3], "fineweb": SETS[3:], "all four": SETS}
    for name, chosen in sets.items():
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            dropped([every[one] for one in chosen])
            best = min(best, time.process_time() - start)
        seconds[name] = best / len(texts)
    return {"verdicts": verdicts, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+")
    parser.add_argument("--datatrove", help="an interpreter that has it")
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--language", help="only documents whose column `language` says so")
    parser.add_argument("--show", help="print documents that are decided about differently")
    arguments = parser.parse_args()
    if not arguments.datatrove:
        with pa.memory_map(arguments.files[0]) as file:
            texts = pa.ipc.open_file(file).read_all()["text"].to_pylist()
        Path(arguments.files[1]).write_text(json.dumps(in_datatrove(texts)))
        return
    columns = ["text", *(["language"] if arguments.language else [])]
    table = pa.concat_tables([pq.read_table(path, columns=columns) for path in arguments.files])
    if arguments.language:
        table = table.filter(pa.compute.equal(table["language"], arguments.language))
    table = table.select(["text"]).slice(0, arguments.documents)
    texts = table["text"].combine_chunks().cast(pa.large_string())
    ours = in_ours(texts)
    with tempfile.TemporaryDirectory() as folder:
        given, result = f"{folder}/texts.arrow", f"{folder}/verdicts.json"
        with pa.ipc.new_file(given, table.schema) as writer:
            writer.write_table(table)
        subprocess.run([arguments.datatrove, __file__, given, result], check=True)
        theirs = json.loads(Path(result).read_text())
    words = sum(len(text.split()) for text in texts.to_pylist()) / len(texts)
    print(f"{len(texts):,} documents of {words:.0f} words")
    print(
        f"{'rule':<32} {'ours':>6} {'theirs':>6} {'only ours':>9} {'only theirs':>11} {'agree':>7}"
    )
    for name, own in ours["verdicts"].items():
        pairs = list(zip(own, theirs["verdicts"][name], strict=True))
        only, alone = pairs.count((True, False)), pairs.count((False, True))
        agree = 1 - (only + alone) / len(pairs)
        print(
            f"{name:<32} {sum(own):>6} {sum(theirs['verdicts'][name]):>6} {only:>9} {alone:>11} "
            f"{agree:>7.2%}"
        )
        if name == arguments.show:
            for text, pair in zip(texts.to_pylist(), pairs, strict=True):
                if pair[0] != pair[1]:
                    print(json.dumps({"ours": pair[0], "text": text[:1500]}, ensure_ascii=False))
    for name, seconds in ours["seconds"].items():
        rate = words / 500 / seconds
        print(f"{name:<10} {1 / seconds:>9,.0f} documents/s, {rate:,.0f} of 500 words")
    for splitter, seconds in theirs["seconds"].items():
        ratio = seconds / ours["seconds"]["all four"]
        print(
            f"datatrove, words by {splitter}: {1 / seconds:,.0f} documents/s, 1/{ratio:.0f} of ours"
        )


if __name__ == "__main__":
    sys.exit(main())
