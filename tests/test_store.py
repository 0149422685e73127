"""Files are whole or not there; whatever is no record is refused in one line."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from synthetic import make_inference, make_training

from fashionbench import store
from fashionbench.errors import InputError
from fashionbench.record import InferenceRecord, TrainingRecord
from fashionbench.store import benchmark_section, read_records, seal, write_record, write_whole


def benchmark_json(*records: TrainingRecord) -> dict[str, Any]:
    finished = [record for record in records if record.status == "finished"]
    return {
        "datetime": "2026-11-23",
        "benchmarks": [{"name": "x", "extra_info": {"fashionbench": seal(record)}} for record in finished],
        "fashionbench": benchmark_section(records),
    }


def test_records_come_back_from_a_folder_of_files(tmp_path: Path) -> None:
    written: list[TrainingRecord | InferenceRecord] = [
        make_inference(),
        make_training("fashioncnn", seed=1),
        make_training("resnet18", device="cuda:1"),
    ]

    paths = [write_record(tmp_path, record) for record in written]

    assert [path.name for path in paths] == [
        "inference-fashioncnn-cpu-batch1.json",
        "training-fashioncnn-cpu-seed1.json",
        "training-resnet18-cuda1-seed0.json",
    ]
    assert read_records([tmp_path]) == tuple(written)


def test_finished_and_unfinished_come_back_from_a_benchmark_json(tmp_path: Path) -> None:
    finished = make_training()
    failed = make_training("resnet18", status="failed", reason="no memory")
    path = tmp_path / "benchmark.json"
    path.write_text(json.dumps(benchmark_json(finished, failed)))

    assert read_records([path, path]) == (finished, failed, finished, failed)


def test_benchmarks_of_others_in_the_same_file_are_passed_over(tmp_path: Path) -> None:
    document = benchmark_json(make_training())
    document["benchmarks"].append({"extra_info": {}})
    path = tmp_path / "benchmark.json"
    path.write_text(json.dumps(document))

    assert len(read_records([path])) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1 column 1"),
        ("{", "expected a pytest-benchmark JSON of FashionBench or a record, schema 1; make it anew"),
        ("[]", "pytest-benchmark JSON"),
        ('{"benchmarks": []}', "fashionbench: Field required"),
        ('{"kind": "training"}', "Field required"),
        ('{"kind": "poem"}', "poem"),
        ('{"benchmarks": [], "fashionbench": {"schema_version": 2, "unfinished": []}}', "schema_version"),
        ("[" * 100_000, "expected a pytest-benchmark JSON"),
        ('{"kind": 1' + "0" * 5_000 + "}", "expected a pytest-benchmark JSON"),
    ],
)
def test_a_file_that_is_no_record_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)

    with pytest.raises(InputError, match=message):
        read_records([path])


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(InputError, match="make it anew with nox -s bench"):
        read_records([path])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json cannot be read \(No such file or directory\)"):
        read_records([tmp_path / "gone.json"])


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no record in"):
        read_records([tmp_path])


def test_a_benchmark_json_without_a_case_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(benchmark_json()))

    with pytest.raises(InputError, match="at least one case"):
        read_records([path])


def test_an_oversized_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_JSON_BYTES", 10)
    path = tmp_path / "x.json"
    path.write_text("x" * 11)

    with pytest.raises(InputError, match="has 11 bytes; expected at most 10"):
        read_records([path])


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.json"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
