"""Records as files: sealed by a digest, and read from any mix of files and folders."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fashionbench.errors import InputError, SetupError
from fashionbench.records.fields import TupleOf
from fashionbench.records.files import write_atomically
from fashionbench.records.record import SCHEMA, InferenceRecord, Record, TrainingRecord

__all__ = [
    "EXTRA_INFO_KEY",
    "benchmark_section",
    "bundle",
    "find_finished",
    "read_records",
    "seal",
    "write_record",
]

EXTRA_INFO_KEY: Final = "fashionbench"
"""The key of a case's record in a benchmark's extra_info, and of our section in a benchmark JSON."""

MAX_JSON_BYTES: Final = 32 * 1024**2
"""About 200 trainings of the study in a benchmark JSON. A folder of records has no such limit."""

MOST_ERRORS: Final = 1_000
"""Validation errors of a file that are looked at; an untrusted file may cause millions."""


class _Sealed(BaseModel):
    """A record with the SHA-256 of its JSON, so that a damaged file is detected."""

    model_config = ConfigDict(strict=True, extra="forbid")

    sha256: str
    record: Record

    @model_validator(mode="after")
    def _check_digest(self) -> Self:
        if _digest(self.record) != self.sha256:
            message = "the record does not match its SHA-256: the file was changed or damaged"
            raise ValueError(message)
        return self


class _ExtraInfo(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    sealed: _Sealed | None = Field(default=None, alias=EXTRA_INFO_KEY)


class _Benchmark(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    extra_info: _ExtraInfo


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    schema_version: Annotated[int, Field(ge=SCHEMA, le=SCHEMA)]
    records: TupleOf[_Sealed]
    """Records without a benchmark."""


class _BenchmarkFile(BaseModel):
    """The parts of a pytest-benchmark JSON that we read."""

    model_config = ConfigDict(strict=True, extra="ignore")

    benchmarks: TupleOf[_Benchmark]
    section: _Section = Field(alias=EXTRA_INFO_KEY)


def seal(record: TrainingRecord | InferenceRecord) -> dict[str, object]:
    """Return a record as JSON types, with its SHA-256."""
    return {"sha256": _digest(record), "record": record.model_dump(mode="json")}


def _digest(record: TrainingRecord | InferenceRecord) -> str:
    # without defaults: adding a field with a default does not change the digest of older records
    return hashlib.sha256(record.model_dump_json(exclude_defaults=True).encode()).hexdigest()


def write_record(folder: Path, record: TrainingRecord | InferenceRecord) -> Path:
    """Write a record into a folder, under a name made from its case, and return its path.

    Raises:
        SetupError: It cannot be written.

    """
    if isinstance(record, TrainingRecord):
        number, digest = f"seed{record.seed}", record.identity
    else:
        number, digest = f"batch{record.batch_size}", _setting_digest(record)
    name = quote(record.model, safe="")  # package.module:function is not a file name on all systems
    stem = "-".join((record.kind, name, record.device.replace(":", ""), number, digest[:8]))
    path = folder / f"{stem}.json"
    try:
        write_atomically(path, json.dumps(seal(record), separators=(",", ":")).encode())
    except OSError as error:
        raise SetupError(
            f"record file {path} cannot be written ({error.strerror})",
            expected="free disk space and write permission",
            remedy="free some space, then repeat the command: finished cases are kept",
        ) from error
    return path


def _setting_digest(record: InferenceRecord) -> str:
    """Return a digest of the hardware and execution of an inference, so that only the same setting replaces a file."""
    host = record.environment
    setting = (record.device_name, host.cpu, host.threads, record.execution, record.precision)
    return hashlib.sha256(json.dumps(setting).encode()).hexdigest()


def find_finished(folder: Path, warn: Callable[[str], None]) -> dict[str, TrainingRecord]:
    """Return the finished trainings of a folder by identity; skip damaged files with a warning."""
    found: dict[str, TrainingRecord] = {}
    for path in sorted(folder.glob("training-*.json")):
        try:
            (record,) = _read_file(path)
        except InputError as error:
            warn(f"Damaged record skipped, its case is measured again: {error.found}")
            continue
        if isinstance(record, TrainingRecord) and record.status == "finished":
            found[record.identity] = record
    return found


def benchmark_section(records: Iterable[TrainingRecord | InferenceRecord]) -> dict[str, object]:
    """Return our section of a benchmark JSON: the schema version and the records without a benchmark."""
    return bundle(record for record in records if record.status != "finished")


def bundle(records: Iterable[TrainingRecord | InferenceRecord]) -> dict[str, object]:
    """Return records with the schema version, as JSON types."""
    return {"schema_version": SCHEMA, "records": [seal(record) for record in records]}


def read_records(paths: str | Path | Iterable[str | Path]) -> tuple[TrainingRecord | InferenceRecord, ...]:
    """Read the records of benchmark JSONs, record files and folders of record files, in the given order.

    Args:
        paths: One or several. If a folder contains a folder ``records``, as the output of a run does, that one is read.

    Raises:
        InputError: A path does not exist, cannot be read, or contains something other than records of this schema.

    """
    given = [Path(path) for path in ((paths,) if isinstance(paths, str | Path) else paths)]
    records: list[TrainingRecord | InferenceRecord] = []
    for path in given:
        folder = path / "records" if (path / "records").is_dir() else path
        files = sorted(folder.glob("*.json")) if folder.is_dir() else [path]
        if not files:
            raise InputError(
                f"no record in {path}",
                expected="record files (*.json)",
                remedy="check the path, or measure first with nox -s bench or fashionbench run",
            )
        for file in files:
            records.extend(_read_file(file))
    if not records:
        raise InputError(
            f"no record in {', '.join(map(str, given)) or 'an empty list of paths'}",
            expected="a benchmark JSON with at least one case",
            remedy="measure first with nox -s bench or fashionbench run",
        )
    return tuple(records)


def _read_file(path: Path) -> list[TrainingRecord | InferenceRecord]:
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise InputError(
                f"file {path} has {size:,} bytes",
                expected=f"at most {MAX_JSON_BYTES:,} bytes",
                remedy="check that it is a benchmark JSON, or give the folder of its records",
            )
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"file {path} cannot be read ({error.strerror})",
            expected="a benchmark JSON, a record or a folder of records",
            remedy="check the path, or measure first with nox -s bench or fashionbench run",
        ) from error
    try:
        # not model_validate_json: its errors copy the whole input once for each missing field
        document = json.loads(content)
        if isinstance(document, dict) and "record" in document:
            return [_Sealed.model_validate(document).record]
        file = _BenchmarkFile.model_validate(document)
    except (ValidationError, ValueError, RecursionError) as error:
        raise InputError(
            f"file {path}: {_describe_validation(error) if isinstance(error, ValidationError) else error}",
            expected=f"a benchmark JSON of FashionBench or a record, schema version {SCHEMA}",
            remedy="measure again with nox -s bench or fashionbench run",
        ) from error
    sealed = [*(benchmark.extra_info.sealed for benchmark in file.benchmarks), *file.section.records]
    return [each.record for each in sealed if each is not None]


def _describe_validation(error: ValidationError) -> str:
    """Return the first validation error, with its field."""
    if error.error_count() > MOST_ERRORS:
        return f"{error.error_count():,} fields are invalid"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)
