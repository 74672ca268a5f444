"""The metrics file: every step once, also after a kill."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from corpus.errors import IntegrityError, OutputError
from corpus.trainer import metrics
from corpus.trainer.metrics import Metrics, MetricsFile


def line(step: int, loss: float) -> Metrics:
    return Metrics(
        step=step,
        steps=9,
        tokens=step * 100,
        batch_sequences=4,
        loss=loss,
        learning_rate=1e-3,
        gradient_norm=0.5,
        tokens_per_second=1e3,
        data_wait=0.0,
        seconds_left=3661.4,
        validation={"wikipedia": 3.5} if step == 3 else {},
    )


def read(folder: Path) -> list[dict[str, object]]:
    return [json.loads(row) for row in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_resumed_run_replaces_the_steps_after_its_checkpoint(tmp_path: Path) -> None:
    with MetricsFile(str(tmp_path), step=0) as file:
        for step in (1, 2, 3, 4, 5):
            file.write(line(step, loss=1.0))
    with (tmp_path / "metrics.jsonl").open("a") as torn:
        torn.write('{"step": 6, "lo')  # the kill came here

    with MetricsFile(str(tmp_path), step=3) as file:
        file.write(line(4, loss=2.0))

    rows = read(tmp_path)
    assert [(row["step"], row["loss"]) for row in rows] == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0)]
    assert rows[2]["validation"] == {"wikipedia": 3.5}


def test_a_torn_line_is_cut_off_even_where_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}')

    with MetricsFile(str(tmp_path), step=9):
        pass

    assert read(tmp_path) == [{"step": 1}]


def test_a_fresh_run_starts_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')

    with MetricsFile(str(tmp_path / "new"), step=0):
        pass
    with MetricsFile(str(tmp_path), step=0):
        pass

    assert read(tmp_path) == []
    assert read(tmp_path / "new") == []


@pytest.mark.parametrize("wrong", ["not json", "[]", "{}"])
def test_a_file_of_something_else_is_refused_with_its_line(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(f'{{"step": 1}}\n{wrong}\n')

    with pytest.raises(IntegrityError, match=r"metrics\.jsonl:2: this line is not"):
        MetricsFile(str(tmp_path), step=5)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        MetricsFile(str(tmp_path), step=0) as file,
        monkeypatch.context() as patch,
    ):
        patch.setattr(file, "_file", full)
        with pytest.raises(OutputError, match=r"metrics\.jsonl: the metrics cannot be written"):
            file.write(line(1, loss=1.0))


def test_a_person_reads_loss_speed_use_wait_and_the_time_left() -> None:
    step = replace(
        line(3, loss=2.5),
        mfu=0.4567,
        data_wait=0.00125,
        bits_per_byte={"wikipedia": 1.125},
    )

    assert metrics.line(step) == (
        "step 3/9: loss 2.500, wikipedia 3.500 (1.125 bits/byte), 1,000 tokens/s, MFU 45.7%, "
        "waited 1.2 ms for data, 1:01:01 left"
    )
    assert "MFU" not in metrics.line(line(1, loss=1.0))
