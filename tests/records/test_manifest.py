"""An output folder knows its last run: a report is about that run unless it is asked for all."""

from pathlib import Path

import pytest
from synthetic import make_inference, make_study, make_training

from fashionbench.errors import InputError, SetupError
from fashionbench.recipe.fields import RECIPES
from fashionbench.records.manifest import Manifest, write_manifest
from fashionbench.records.reading import read_records
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.records.store import write_record

LAST = [each for each in make_study(1) if isinstance(each, TrainingRecord)]
TIMED = make_inference().model_copy(update={"identity": "1" * 64})
RECORDS: list[TrainingRecord | InferenceRecord] = [*LAST, TIMED]
EARLIER = make_training(recipe=RECIPES["smoke"])


def manifest_of(*identities: str) -> Manifest:
    return Manifest(
        command="fashionbench run", started="2026-11-25T12:00:00Z", trainings=identities, inferences=("1" * 64,)
    )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for record in [*RECORDS, EARLIER, make_inference()]:
        write_record(tmp_path / "records", record)
    write_manifest(tmp_path, manifest_of(*(each.identity for each in LAST)))
    return tmp_path


def test_only_the_records_of_the_last_run_are_read_and_the_others_are_counted(out: Path) -> None:
    said: list[str] = []

    found = read_records(out, announce=said.append)

    assert sorted(each.identity or "" for each in found) == sorted(each.identity or "" for each in RECORDS)
    assert said == [f"{out}: 2 of 5 records are of earlier runs and are left out; --all includes them"]
    assert read_records(out) == found


def test_all_runs_are_read_on_request_and_where_the_folder_of_records_is_named(out: Path) -> None:
    assert len(read_records(out, all_runs=True)) == len(read_records(out / "records")) == 5


def test_a_last_run_without_a_record_is_refused(out: Path) -> None:
    write_manifest(out, manifest_of("2" * 64).model_copy(update={"inferences": ()}))

    with pytest.raises(InputError, match=r"None of the 5 records in .* is of its last run, started 2026-11-25.*--all"):
        read_records(out)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"\xff",
        manifest_of("2" * 64).model_dump_json().replace("222", "../").encode(),
        manifest_of().model_dump_json().replace('"schema_version":1', '"schema_version":2').encode(),
        manifest_of().model_dump_json().replace("12:00:00Z", "\x1b[2J").encode(),
    ],
)
def test_a_damaged_manifest_is_refused_in_a_line(out: Path, content: bytes) -> None:
    (out / "run.json").write_bytes(content)

    with pytest.raises(InputError, match=r"run\.json: .*\. Expected the identities of .*\. Read the records of all"):
        read_records(out)
    assert len(read_records(out, all_runs=True)) == 5


def test_a_manifest_that_cannot_be_written_stops_the_run_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()

    with pytest.raises(SetupError, match=r"run\.json cannot be written \(.*\)\. Expected free disk space"):
        write_manifest(tmp_path, manifest_of())
