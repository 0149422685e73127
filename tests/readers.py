"""Readers of files of unknown origin, each with right files and with some that would fill the memory.

None of these needs torch; ``tests/data_readers.py`` and ``tests/torch_readers.py`` have those that do.
"""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType

import numpy as np
from hostile import Reader, reseal
from synthetic import make_inference, make_training

from fashionbench.data.readers import CSV_HEADER, IDX_NAMES, decode_idx, encode_idx, read_csv, read_idx_bytes
from fashionbench.judging.comparison import compare
from fashionbench.judging.rule import DEFAULT_THRESHOLDS
from fashionbench.recipe.fields import RECIPES
from fashionbench.recipe.file import load_recipe
from fashionbench.records.manifest import MANIFEST_NAME, Manifest
from fashionbench.records.reading import read_records
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.records.store import benchmark_section, seal, write_record
from fashionbench.report.comparison import compare_view
from fashionbench.report.page import write_report
from fashionbench.report.render import render_html
from fashionbench.tuning.space import load_space

IMAGES = encode_idx(np.arange(2 * 784, dtype=np.uint8).reshape(2, 28, 28))
CSV = (CSV_HEADER + "\n" + "\n".join(",".join(["7", *["255"] * 784]) for _ in range(2))).encode()
TOML = b"""epochs = 5
learning_rate = 0.001
is_result = false
[model.resnet18]
batch_size = 20
"""
SPACE = b"""learning_rate = { low = 0.001, high = 0.1, scale = "log" }
batch_size = [20, 50]
"""
RECORD = make_training(images=20)
TRAINED, TIMED = make_training("resnet18", seed=1, images=60), make_inference("resnet18", batch_size=256)
OTHERS: tuple[TrainingRecord | InferenceRecord, ...] = (
    *(make_training(model, images=60) for model in ("fashioncnn", "resnet18")),
    make_inference(),
)
BENCHMARK = json.dumps(
    {
        "benchmarks": [
            {"name": "x", "stats": {"mean": 1.0}, "extra_info": {"fashionbench": seal(make_inference())}},
            {"name": "other", "extra_info": {}},
        ],
        "fashionbench": benchmark_section([make_training(images=20, status="failed", reason="no memory")]),
    }
).encode()
MANIFEST = Manifest(command="nox -s bench", started="2026-11-25T12:00:00Z", trainings=(RECORD.identity,), inferences=())


def json_bombs() -> Iterable[bytes]:
    """Yield small files of deep nesting, many parts, and long texts and numbers."""
    yield b"[" * 100_000
    yield b'{"a":' * 100_000
    yield b'{"benchmarks": [' + b"[]," * 3_000_000 + b"[]]}"
    yield b'{"x": ' + b"9" * 1_000_000 + b"}"
    yield b'{"record": {"kind": "training"}, "sha256": "' + b"0" * 10_000_000 + b'"}'
    parts = b",".join(b'"%d": 1' % place for place in range(500_000))
    yield b'{"sha256": "", "record": {"kind": "training", "environment": {"versions": {' + parts + b"}}}}"


def read_record(path: Path) -> None:
    """Read a record; what is taken means the same, with other white space, say."""
    if read_records([path]) != (RECORD,):
        raise AssertionError("another record has the same digest")


def read_and_report(path: Path) -> None:
    """Read, judge, report and compare a record among others."""
    found = [*read_records([path]), *OTHERS]
    report = write_report(found, path.parent, formats=("md", "json"))
    page = render_html(compare_view(compare(OTHERS, found, DEFAULT_THRESHOLDS), ()))
    if not report.conclusion or not page:
        raise AssertionError("a report of nothing")


def read_run(path: Path) -> None:
    """Read the folder of a run by its manifest."""
    if not (path.parent / "records").exists():
        write_record(path.parent / "records", RECORD)
    read_records([path.parent])


READERS = MappingProxyType(
    {
        "idx": Reader(
            name="train-images-idx3-ubyte",
            whole=(IMAGES,),
            read=lambda path: decode_idx(IDX_NAMES[0], read_idx_bytes(path)),
            inputs=12_000,
        ),
        "idx.gz": Reader(
            name="train-images-idx3-ubyte.gz",
            whole=(gzip.compress(IMAGES, mtime=0),),
            read=lambda path: decode_idx(IDX_NAMES[0], read_idx_bytes(path)),
            inputs=12_000,
            bombs=lambda: (512 * gzip.compress(bytes(2**20)),),
        ),
        "kaggle": Reader(
            name="fashion-mnist_train.csv",
            whole=(CSV,),
            read=read_csv,
            inputs=12_000,
            bombs=lambda: (row + b"7," * 20_000_000 for row in (b"label,", CSV_HEADER.encode() + b"\n")),
        ),
        "recipe": Reader(name="mine.toml", whole=(TOML,), read=lambda path: load_recipe(str(path)), inputs=12_000),
        "space": Reader(
            name="space.toml", whole=(SPACE,), read=lambda path: load_space(path, RECIPES["study"]), inputs=6_000
        ),
        "record": Reader(
            name="record.json",
            whole=(json.dumps(seal(RECORD)).encode(),),
            read=read_record,
            inputs=12_000,
            bombs=json_bombs,
        ),
        "benchmark": Reader(
            name="benchmark.json", whole=(BENCHMARK,), read=lambda path: read_records([path]), inputs=10_000
        ),
        "run": Reader(name=MANIFEST_NAME, whole=(MANIFEST.model_dump_json().encode(),), read=read_run, inputs=6_000),
        "sealed training": Reader(
            name="hostile.json",
            whole=(json.dumps(seal(TRAINED)).encode(),),
            read=read_and_report,
            inputs=4_000,
            spoil=reseal,
        ),
        "sealed timing": Reader(
            name="hostile.json",
            whole=(json.dumps(seal(TIMED)).encode(),),
            read=read_and_report,
            inputs=4_000,
            spoil=reseal,
        ),
    }
)
