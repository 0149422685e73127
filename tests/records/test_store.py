"""Records are read as they were written, and a file that is not a record is rejected in one line."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import make_inference, make_training

from fashionbench.errors import InputError, SetupError
from fashionbench.records.reading import MAX_JSON_BYTES, find_finished, read_records
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.records.store import benchmark_section, seal, write_record


def benchmark_json(*records: TrainingRecord) -> dict[str, Any]:
    finished = [record for record in records if record.status == "finished"]
    return {
        "datetime": "2026-11-23",
        "benchmarks": [{"name": "x", "extra_info": {"fashionbench": seal(record)}} for record in finished],
        "fashionbench": benchmark_section(records),
    }


def test_records_are_read_from_a_folder_of_files(tmp_path: Path) -> None:
    written: list[TrainingRecord | InferenceRecord] = [
        make_inference(),
        make_training("fashioncnn", seed=1),
        make_training("resnet18", device="cuda:1"),
    ]

    paths = [write_record(tmp_path, record) for record in written]

    digests = [record.identity[:8] for record in written if isinstance(record, TrainingRecord)]
    assert [path.name for path in paths] == [
        paths[0].name,
        f"training-fashioncnn-cpu-seed1-{digests[0]}.json",
        f"training-resnet18-cuda1-seed0-{digests[1]}.json",
    ]
    assert paths[0].name.startswith("inference-fashioncnn-cpu-batch1-")
    assert read_records([tmp_path]) == tuple(written)
    assert read_records(str(tmp_path)) == read_records(tmp_path) == tuple(written)


def test_the_output_folder_of_a_run_contains_its_records(tmp_path: Path) -> None:
    record = make_training()
    write_record(tmp_path / "records", record)
    (tmp_path / "verdict.json").write_text("{}")

    assert read_records([tmp_path]) == (record,)


@pytest.mark.parametrize(
    "change", [{"precision": "bf16"}, {"execution": "plain"}, {"device_name": "Another CPU"}], ids=str
)
def test_inferences_of_different_settings_do_not_replace_each_other(tmp_path: Path, change: dict[str, str]) -> None:
    one = make_inference()

    paths = {write_record(tmp_path, each) for each in (one, one, one.model_copy(update=change))}

    assert len(paths) == len(read_records([tmp_path])) == 2


def test_finished_and_unfinished_records_are_read_from_a_benchmark_json(tmp_path: Path) -> None:
    finished = make_training()
    failed = make_training("resnet18", status="failed", reason="no memory")
    path = tmp_path / "benchmark.json"
    path.write_text(json.dumps(benchmark_json(finished, failed)))

    assert read_records([path, path]) == (finished, failed, finished, failed)


def test_benchmarks_without_a_record_are_skipped(tmp_path: Path) -> None:
    document = benchmark_json(make_training())
    document["benchmarks"].append({"extra_info": {}})
    path = tmp_path / "benchmark.json"
    path.write_text(json.dumps(document))

    assert len(read_records([path])) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1 column 1"),
        ("{", r"Expected a benchmark JSON of FashionBench or a record, schema version 1\. Measure again with"),
        ("[]", "benchmark JSON"),
        ('{"benchmarks": []}', "fashionbench: Field required"),
        ('{"sha256": "", "record": {"kind": "training"}}', "Field required"),
        ('{"sha256": "", "record": {"kind": "poem"}}', "poem"),
        ('{"benchmarks": [], "fashionbench": {"schema_version": 2, "records": []}}', "schema_version"),
        ("[" * 100_000, "Expected a benchmark JSON"),
        ('{"kind": 1' + "0" * 5_000 + "}", "Expected a benchmark JSON"),
        ("[" + "{}," * 500_000 + "{}]", "has over 500,000 lists and objects"),
        (
            json.dumps({"record": {"kind": "inference"} | dict.fromkeys(map(str, range(1_000)))}),
            r"1,0\d\d fields are invalid",
        ),
    ],
)
def test_a_file_that_is_not_a_record_is_rejected(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)

    with pytest.raises(InputError, match=message):
        read_records([path])


def test_a_binary_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(InputError, match="Measure again with nox -s bench"):
        read_records([path])


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"File .*gone\.json cannot be read \(No such file or directory\)"):
        read_records([tmp_path / "gone.json"])


def test_an_empty_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No record in .*nox -s bench"):
        read_records([tmp_path])


def test_an_empty_list_of_paths_is_rejected() -> None:
    with pytest.raises(InputError, match="No record in an empty list of paths"):
        read_records([])


def test_a_benchmark_json_without_a_case_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(benchmark_json()))

    with pytest.raises(InputError, match="at least one case"):
        read_records([path])


def test_an_oversized_file_is_rejected_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with path.open("wb") as file:
        file.truncate(MAX_JSON_BYTES + 1)  # without content on the disk

    with pytest.raises(
        InputError, match=r"cannot be read \(33,554,433 bytes or more, and at most 33,554,432 are read\)"
    ):
        read_records([path])


def test_finished_trainings_are_found_by_identity_and_damaged_files_are_skipped_with_a_warning(tmp_path: Path) -> None:
    finished, failed = make_training(seed=1), make_training(seed=2, status="failed", reason="no memory")
    for record in (finished, failed, make_inference()):
        write_record(tmp_path, record)
    (tmp_path / "training-x.json").write_text("{")
    outside = write_record(tmp_path.with_name(f"{tmp_path.name} outside"), make_training(seed=5))
    (tmp_path / "training-y.json").symlink_to(outside)
    warnings: list[str] = []

    found = find_finished(tmp_path, warnings.append)

    assert found == {finished.identity: finished}
    assert len(warnings) == 2
    assert all(each.startswith("Damaged record skipped, its case is measured again: ") for each in warnings)
    assert "training-y.json is a link" in warnings[1]


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_is_detected(tmp_path: Path, seed: int) -> None:
    record = make_training(images=500)
    path = write_record(tmp_path, record)
    content = bytearray(path.read_bytes())
    index = int(np.random.default_rng(seed).integers(len(content)))
    content[index] ^= 1 << (seed % 8)
    path.write_bytes(content)

    with pytest.raises(InputError, match=r"training-.*\. Expected .*\. Measure again"):
        read_records([path])


def test_a_record_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("a file")

    with pytest.raises(SetupError, match=r"Record file .* cannot be written \(.*\)\. Expected .*\. Free some space"):
        write_record(tmp_path / "records", make_training())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_disk_that_becomes_full_during_a_write_loses_no_earlier_record(tmp_path: Path) -> None:
    """The process has a real limit on the size of a file, so the write stops half way."""
    script = f"""
import resource, signal, sys
from pathlib import Path
from synthetic import make_training
from fashionbench.errors import SetupError
from fashionbench.records.store import write_record

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path({str(tmp_path)!r})
write_record(folder, make_training(seed=1))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write_record(folder, make_training(seed=2))
except SetupError as error:
    print(error)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[1:3]))},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert "cannot be written (File too large). Expected free disk space" in ended.stdout, ended.stderr
    assert [path.name.rpartition("-")[0] for path in tmp_path.iterdir()] == ["training-fashioncnn-cpu-seed1"]
    assert len(read_records([tmp_path])) == 1


def test_timings_of_different_data_do_not_replace_each_other(tmp_path: Path) -> None:
    one, other = (make_inference().model_copy(update={"identity": digit * 64}) for digit in "12")

    paths = {write_record(tmp_path, each) for each in (one, one, other)}

    assert len(paths) == len(read_records([tmp_path])) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_folder_socket_or_device_among_the_records_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    write_record(tmp_path, make_training())
    path = tmp_path / "z.json"
    makers: list[tuple[Callable[[], object], Callable[[], object]]] = [
        (lambda: os.mkfifo(path), path.unlink),
        (path.mkdir, path.rmdir),
    ]

    for make, remove in makers:
        make()
        with pytest.raises(
            InputError, match=r"z\.json cannot be read \(not a regular file\)\. Expected .*\. Check the"
        ):
            read_records([tmp_path])
        remove()
    with pytest.raises(InputError, match=r"zero cannot be read \(not a regular file\)"):
        read_records([Path("/dev/zero")])


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("linked", ["records/z.json", "run.json", "records"])
def test_no_link_leads_out_of_the_folder_that_was_given(tmp_path: Path, linked: str) -> None:
    outside = write_record(tmp_path / "outside", make_training()).parent
    given = tmp_path / "given"
    write_record(given / "records", make_training(seed=1))
    if linked == "records":
        shutil.rmtree(given / linked)
        (given / linked).symlink_to(outside)
    else:
        (given / linked).symlink_to(next(outside.iterdir()))

    with pytest.raises(InputError, match=r"is a link, or in a linked folder, that leads out of the folder"):
        read_records([given])
    (tmp_path / "link").symlink_to(outside)
    assert len(read_records([tmp_path / "link"])) == 1


def test_a_path_that_no_system_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read \(File name too long\)"):
        read_records([tmp_path / ("x" * 5_000)])
