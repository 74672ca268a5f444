"""Small made files of the tasks that have layouts of their own, each about eight names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

NAMES = ["amber", "birch", "cedar", "delta", "ember", "flint", "grove", "haven"]
NO_DATE = {"day": "", "month": "", "year": ""}


def wic() -> list[Any]:
    return [
        {"word": name, "sentence1": f"The {name} was dry.", "sentence2": f"A {name} fell."}
        | {"idx": number, "label": number % 2 == 0}
        for number, name in enumerate(NAMES)
    ]


def wsc() -> list[Any]:
    return [
        {"text": f"Mr. {name.title()} saw Ann and he ran.", "idx": number, "label": number < 6}
        | {"target": {"span1_text": f"Mr. {name.title()}", "span2_text": "he", "span2_index": 5}}
        for number, name in enumerate(NAMES)
    ]


def multirc() -> list[Any]:
    return [
        {
            "idx": number,
            "passage": {
                "text": f"The {name} stood.",
                "questions": [
                    {
                        "question": f"What {name} is it, {one}?",
                        "idx": 2 * number + one,
                        "answers": [
                            {"text": f"{name} {answer}", "idx": answer, "label": answer % 2}
                            for answer in range(3)
                        ],
                    }
                    for one in range(2)
                ],
            },
        }
        for number, name in enumerate(NAMES)
    ]


def multirc_rows() -> list[Any]:
    return [
        {"paragraph": item["passage"]["text"], "question": question["question"]}
        | {"answer": answer["text"], "label": answer["label"]}
        | {"idx": {"paragraph": item["idx"], "question": question["idx"], "answer": answer["idx"]}}
        for item in multirc()
        for question in item["passage"]["questions"]
        for answer in question["answers"]
    ]


def record() -> list[Any]:
    rows = []
    for number, name in enumerate(NAMES):
        text = f"News: {name} met Bob.\n@highlight\nThe {name} is tall."
        spans = [(text.index(one), text.index(one) + len(one) - 1) for one in (name, "Bob")]
        queries = [
            {"query": f"Of {name}: @placeholder was {one}.", "idx": 2 * number + one}
            | {"answers": [{"text": name}]}
            for one in range(2)
        ]
        entities = [{"start": start, "end": end} for start, end in spans]
        rows.append(
            {"idx": number, "passage": {"text": text, "entities": entities}, "qas": queries}
        )
    return rows


def record_rows() -> list[Any]:
    return [
        {"passage": item["passage"]["text"], "query": query["query"]}
        | {"entities": [query["answers"][0]["text"], "Bob"]}
        | {"answers": [query["answers"][0]["text"]]}
        | {"idx": {"passage": item["idx"], "query": query["idx"]}}
        for item in record()
        for query in item["qas"]
    ]


def squad(*, with_none: bool) -> Any:
    def questions(name: str) -> list[Any]:
        found: list[Any] = [
            {
                "id": f"{name}-1",
                "question": f"How old is {name}?",
                "answers": [{"text": "12 years"}],
            }
        ]
        return found + [{"id": f"{name}-2", "question": f"Why {name}?", "answers": []}] * with_none

    return {
        "data": [
            {
                "title": f"The_{name}",
                "paragraphs": [{"context": f"The {name} is old.", "qas": questions(name)}],
            }
            for name in NAMES
        ]
    }


def squad_rows() -> list[Any]:
    return [
        {"id": one["id"], "title": item["title"], "context": paragraph["context"]}
        | {"question": one["question"]}
        | {"answers": {"text": [answer["text"] for answer in one["answers"]]}}
        for item in squad(with_none=True)["data"]
        for paragraph in item["paragraphs"]
        for one in paragraph["qas"]
    ]


def drop() -> Any:
    return {
        f"nfl_{name}": {
            "passage": f"The {name} won by 3.",
            "qa_pairs": [
                {"question": f"How many of {name}?", "query_id": f"{name}-1"}
                | {"answer": {"number": "3", "date": NO_DATE, "spans": []}},
                {"question": f"Who with {name}?", "query_id": f"{name}-2"}
                | {"answer": {"number": "", "date": NO_DATE, "spans": [name, "Bob"]}},
            ],
        }
        for name in NAMES
    }


def drop_rows() -> list[Any]:
    return [
        {"passage": one["passage"], **pair} for one in drop().values() for pair in one["qa_pairs"]
    ]


def coqa() -> Any:
    return {
        "data": [
            {
                "id": f"id-{name}",
                "story": f"The {name} is blue.",
                "questions": [
                    {"input_text": f"What is {name}?"},
                    {"input_text": f"Old {name}?"},
                ],
                "answers": [{"input_text": "blue"}, {"input_text": "unknown"}],
            }
            for name in NAMES
        ]
    }


def coqa_rows() -> list[Any]:
    return [
        {"story": one["story"], "questions": [each["input_text"] for each in one["questions"]]}
        | {"answers": {"input_text": [each["input_text"] for each in one["answers"]]}}
        for one in coqa()["data"]
    ]


def quac() -> Any:
    return {
        "data": [
            {
                "title": name,
                "section_title": "Life",
                "paragraphs": [
                    {
                        "id": f"C_{name}",
                        "context": f"The {name} fell. CANNOTANSWER",
                        "qas": [
                            {"id": f"C_{name}_q#{turn}", "question": f"What of {name} {turn}?"}
                            | {"orig_answer": {"text": answer}, "answers": [{"text": answer}]}
                            for turn, answer in enumerate(("it fell", "CANNOTANSWER"))
                        ],
                    }
                ],
            }
            for name in NAMES
        ]
    }


def quac_rows() -> list[Any]:
    rows = []
    for item in quac()["data"]:
        (paragraph,) = item["paragraphs"]
        answers = [one["orig_answer"]["text"] for one in paragraph["qas"]]
        rows.append(
            {"dialogue_id": paragraph["id"], "context": paragraph["context"]}
            | {"wikipedia_page_title": item["title"], "section_title": item["section_title"]}
            | {"questions": [one["question"] for one in paragraph["qas"]]}
            | {"answers": {"texts": [[answer] for answer in answers]}}
            | {"orig_answers": {"texts": answers}}
        )
    return rows


def translation() -> list[Any]:
    return [{"translation": {"en": f"The {one} is old.", "de": f"{one} ist alt."}} for one in NAMES]


def sat() -> list[Any]:
    return [
        {"stem": [name, "wood"], "answer": number % 3}
        | {"choice": [[f"{name} {one}", "tree"] for one in ("leaf", "bark", "root")]}
        for number, name in enumerate(NAMES)
    ]


def winograd() -> list[Any]:
    return [
        {"text": f"The {name} saw Ann; she ran.", "pronoun": "she", "label": number % 2}
        | {"pronoun_loc": len(f"The {name} saw Ann; "), "options": [f"The {name}", "Ann"]}
        for number, name in enumerate(NAMES)
    ]


# Task, the preset of the decontamination, and what its file holds: one document, or rows.
FILES: dict[str, tuple[str, str, Callable[[], Any]]] = {
    "wic.jsonl": ("wic", "wic", wic),
    "wsc.jsonl": ("wsc", "wsc", wsc),
    "multirc.jsonl": ("multirc", "multirc", multirc),
    "multirc.parquet": ("multirc", "multirc", multirc_rows),
    "record.jsonl": ("record", "record", record),
    "record.parquet": ("record", "record", record_rows),
    "squad.json": ("squad", "squad", lambda: squad(with_none=False)),
    "squadv2.json": ("squadv2", "squad", lambda: squad(with_none=True)),
    "squadv2.parquet": ("squadv2", "squad", squad_rows),
    "drop.json": ("drop", "drop", drop),
    "drop.parquet": ("drop", "drop", drop_rows),
    "coqa.json": ("coqa", "coqa", coqa),
    "coqa.parquet": ("coqa", "coqa", coqa_rows),
    "quac.json": ("quac", "quac", quac),
    "quac.parquet": ("quac", "quac", quac_rows),
    "wmt.parquet": ("wmt16_de_en", "wmt", translation),
    "winograd.jsonl": ("winograd", "winograd", winograd),
    "sat.jsonl": ("sat_analogies", "sat_analogies", sat),
}


def write(folder: Path, name: str) -> str:
    """Write one of `FILES` and return its path."""
    path, value = folder / name, FILES[name][2]()
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(value), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in value))
    else:
        path.write_text(json.dumps(value))
    return str(path)
