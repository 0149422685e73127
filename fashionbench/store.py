"""Records as files: write one so that it is whole or not there, read them from any mix of files and folders."""

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from fashionbench.errors import InputError
from fashionbench.record import SCHEMA, InferenceRecord, Record, TrainingRecord, parse_failure

__all__ = ["EXTRA_INFO_KEY", "benchmark_section", "read_records", "write_record", "write_whole"]

EXTRA_INFO_KEY: Final = "fashionbench"
"""Where a benchmark JSON keeps a case's record (in its extra_info) and our schema number (at its top)."""

MAX_JSON_BYTES: Final = 1024**3

_RECORD: Final = TypeAdapter[TrainingRecord | InferenceRecord](Record)


class _ExtraInfo(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    record: Record | None = Field(default=None, alias=EXTRA_INFO_KEY)


class _Benchmark(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    extra_info: _ExtraInfo


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    schema_version: Annotated[int, Field(ge=SCHEMA, le=SCHEMA)]
    unfinished: tuple[Record, ...]


class _BenchmarkFile(BaseModel):
    """What we read of a pytest-benchmark JSON."""

    model_config = ConfigDict(strict=True, extra="ignore")

    benchmarks: tuple[_Benchmark, ...]
    section: _Section = Field(alias=EXTRA_INFO_KEY)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside, flush it to the disk and rename it, so that ``path`` is old or new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(0o644)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def write_record(folder: Path, record: TrainingRecord | InferenceRecord) -> Path:
    """Write a record into a folder under a name that tells its case, and return its path."""
    last = f"seed{record.seed}" if isinstance(record, TrainingRecord) else f"batch{record.batch_size}"
    stem = "-".join((record.kind, record.model, record.device.replace(":", ""), last))
    path = folder / f"{stem}.json"
    write_whole(path, record.model_dump_json().encode())
    return path


def benchmark_section(records: Iterable[TrainingRecord | InferenceRecord]) -> dict[str, object]:
    """Return our part of a benchmark JSON: the schema number and the records that no benchmark carries."""
    unfinished = [record.model_dump(mode="json") for record in records if record.status != "finished"]
    return {"schema_version": SCHEMA, "unfinished": unfinished}


def read_records(paths: Sequence[Path]) -> tuple[TrainingRecord | InferenceRecord, ...]:
    """Read records from benchmark JSONs, record files and folders of record files, in that order.

    Raises:
        InputError: A path that is not there, cannot be read, or holds anything but records of this schema.

    """
    records: list[TrainingRecord | InferenceRecord] = []
    for path in paths:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise InputError(f"no record in {path}", expected="record files (*.json)", remedy="check the folder's name")
        for file in files:
            records.extend(_read_file(file))
    if not records:
        raise InputError(
            f"no record in {', '.join(map(str, paths))}",
            expected="a benchmark JSON with at least one case",
            remedy="run nox -s bench first",
        )
    return tuple(records)


def _read_file(path: Path) -> list[TrainingRecord | InferenceRecord]:
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise InputError(
                f"{path} has {size:,} bytes", expected=f"at most {MAX_JSON_BYTES:,}", remedy="check that it is a record"
            )
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror})",
            expected="a benchmark JSON or a record",
            remedy="check the path, or run nox -s bench first",
        ) from error
    try:
        if _is_record(content):
            return [_RECORD.validate_json(content)]
        file = _BenchmarkFile.model_validate_json(content)
    except (ValidationError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: {parse_failure(error.errors()[0]) if isinstance(error, ValidationError) else error}",
            expected=f"a pytest-benchmark JSON of FashionBench or a record, schema {SCHEMA}",
            remedy="make it anew with nox -s bench",
        ) from error
    finished = [benchmark.extra_info.record for benchmark in file.benchmarks]
    return [record for record in finished if record is not None] + list(file.section.unfinished)


def _is_record(content: bytes) -> bool:
    document = json.loads(content)
    return isinstance(document, dict) and "kind" in document
