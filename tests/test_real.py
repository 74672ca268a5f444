"""The whole chain on real pages, where they are at hand (marker `real`, CORPUS_TEST_DATA)."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from corpus.build import Build, build
from corpus.config import load_recipe
from corpus.engine import LocalEngine
from corpus.manifest import Manifest
from corpus.mix.mixture import Mixture
from corpus.parts import parts
from corpus.progress import Silent
from corpus.stages.tokenize import apply_cuts
from corpus.text import tokenizer
from corpus.tokenize.document_table import DocumentTable
from corpus.tokenize.shards import TokenShard

pytestmark = pytest.mark.real

RECIPE = """
name: real
seed: 2020
tokens: 3_000_000
sources:
  wikipedia: {{weight: 0.03, wikipedia: "{data}/wikipedia/*.bz2"}}
  books1: {{weight: 0.16, documents: "{data}/books/books.jsonl.zst"}}
  webtext2: {{weight: 0.22, documents: "{data}/webtext/news.jsonl.zst"}}
  common_crawl: {{weight: 0.60, filter: true, warc: "{warc}/*.warc.gz"}}
extract: {{extractor: resiliparse}}
filter:
  classifier: {{positives: [wikipedia, webtext2], negatives: [common_crawl]}}
  alpha: 3
  languages: {{en: 0.65, de: 0.65}}
dedup: {{preset: fineweb, threshold: 0.8}}
decontaminate: {{benchmarks: "{data}/benchmarks/*.jsonl.zst"}}
tokenize: {{vocabulary: gpt2}}
mix: {{sequence_length: 512, validation: 0.01, max_epochs: 1000}}
"""


class Recorder(Silent):
    """Counts the shards that each step makes."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self._step = ""

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        self._step = stage

    def advance(self, shard: object, weight: int) -> None:
        self.made[self._step] += 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="module")
def recipe_path(real_data: Path, folder: Path) -> Path:
    archives = folder / "warc"
    archives.mkdir()
    found = sorted((real_data / "commoncrawl").rglob("warc/*.warc.gz"))
    for archive in found[:2]:
        shutil.copy(archive, archives / archive.name)
    path = folder / "mix.yaml"
    path.write_text(RECIPE.format(data=real_data, warc=archives))
    return path


def run(recipe_path: Path, output: Path, *sets: str) -> tuple[Build, Counter[str]]:
    recorder = Recorder()
    made = build(load_recipe(str(recipe_path), sets), str(output), LocalEngine(2), recorder)
    return made, recorder.made


@pytest.fixture(scope="module")
def built(recipe_path: Path, folder: Path) -> Build:
    return run(recipe_path, folder / "out")[0]


def test_real_build_every_stage_accounts_for_every_row(built: Build) -> None:
    kept_before: dict[str, int] = {}
    for stage in ("extract", "filter", "dedup", "decontaminate", "tokenize"):
        manifest = built.manifests[stage]
        for source in manifest.sources():
            counts = manifest.counts(source)
            assert counts.into == counts.kept + sum(counts.dropped.values())
            assert counts.into == kept_before.get(source, counts.into)
            kept_before[source] = counts.kept
    crawl = built.manifests["extract"].counts("common_crawl")
    # 697 + 699 responses in the two archives; 42 answers in the eight archives are no pages at all
    assert crawl.into == 697 + 699
    assert crawl.kept > 1250
    assert set(crawl.dropped) <= {"http_status", "mime_type", "no_text", "empty_body"}


def test_real_build_every_token_decodes_to_the_text_it_came_from(built: Build) -> None:
    encoder = tokenizer.load("gpt2")
    last = built.manifests["decontaminate"]
    shards = {(s.source, s.name): s for s in built.manifests["tokenize"].shards}
    documents = 0
    for part in parts(built.manifests["extract"], last):
        texts = pq.read_table(part.documents, columns=["id", "text"]).to_pylist()
        assert part.verdict is not None
        verdicts = pq.read_table(part.verdict, columns=["id", "kept", "cuts"]).to_pylist()
        assert [t["id"] for t in texts] == [v["id"] for v in verdicts]
        wanted = {
            text["id"]: apply_cuts(text["text"], verdict["cuts"])
            for text, verdict in zip(texts, verdicts, strict=True)
            if verdict["kept"]
        }
        for split in ("training", "validation"):
            for output in shards[part.source, part.name].all(f"{split}_bin"):
                prefix = built.manifests["tokenize"].path(output).removesuffix(".bin")
                shard, table = TokenShard(prefix), DocumentTable(f"{prefix}.documents.parquet")
                offsets = shard.document_offsets
                for row, identifier in enumerate(table.ids.to_pylist()):
                    tokens = shard.tokens[offsets[row] : offsets[row + 1]]
                    assert tokens[-1] == encoder.end_of_text
                    assert encoder.decode_bytes(tokens[:-1]) == wanted.pop(identifier).encode()
                    documents += 1
        assert not wanted
    assert documents == built.manifests["tokenize"].counts().kept


def test_real_build_weights_are_met_to_one_sequence_a_block(built: Build) -> None:
    mix = built.manifests["mix"]
    path = mix.path(mix.shards[0].output("mixture"))
    mixture = Mixture.from_json(json.loads(Path(path).read_text()), where=path)
    sources, _, _ = mixture.locate(np.arange(mixture.horizon))
    for end in [*range(mixture.block, mixture.horizon, mixture.block), mixture.horizon]:
        counts = np.bincount(sources[:end], minlength=len(mixture.sources))
        for source, count in zip(mixture.sources, counts, strict=True):
            assert abs(count - source.weight * end) <= 1


def test_real_build_drops_name_kept_documents(built: Build) -> None:
    dedup = built.manifests["dedup"]
    tables = [pq.read_table(dedup.path(shard.output("verdict"))) for shard in dedup.shards]
    kept = {i for t in tables for i in t.filter(t["kept"])["id"].to_pylist()}
    keepers = [k for t in tables for k in pc.drop_null(t["duplicate_of"]).to_pylist()]
    assert keepers
    assert set(keepers) <= kept


def test_real_build_one_more_archive_is_extracted_alone(
    built: Build, recipe_path: Path, real_data: Path, folder: Path
) -> None:
    archive = sorted((real_data / "commoncrawl").rglob("warc/*.warc.gz"))[2]
    target = recipe_path.parent / "warc" / archive.name
    shutil.copy(archive, target)
    try:
        _, made = run(recipe_path, folder / "out")
    finally:
        target.unlink()
    assert made["crawl"] == 1
    assert made["extract"] == 1


def test_real_build_another_alpha_redoes_nothing_before_filter(
    built: Build, recipe_path: Path, folder: Path
) -> None:
    again, made = run(recipe_path, folder / "out", "filter.alpha=2")
    assert not {"crawl", "extract", "classifier", "score"} & set(made)
    more, less = _ids(again.manifests["filter"]), _ids(built.manifests["filter"])
    assert less < more


def _ids(manifest: Manifest) -> set[str]:
    tables = [pq.read_table(manifest.path(shard.output("verdict"))) for shard in manifest.shards]
    return {i for table in tables for i in table.filter(table["kept"])["id"].to_pylist()}
