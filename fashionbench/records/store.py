"""Records as files: written so that each is whole or not there, read from any mix of files and folders."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import quote

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fashionbench.errors import InputError, SetupError
from fashionbench.records.fields import Several
from fashionbench.records.record import SCHEMA, InferenceRecord, Record, TrainingRecord, parse_failure

__all__ = [
    "EXTRA_INFO_KEY",
    "benchmark_section",
    "bundle",
    "check_output",
    "find_finished",
    "hold_folder",
    "read_records",
    "seal",
    "write_record",
    "write_whole",
]

EXTRA_INFO_KEY: Final = "fashionbench"
"""Where a benchmark JSON keeps a case's record (in its extra_info) and our schema number (at its top)."""

OUTPUT_BYTES_NEEDED: Final = 200 * 1024**2
"""Room for a large run's records, benchmark JSON and report."""

UNFINISHED_SUFFIX: Final = ".unfinished"
"""Of a file that is being written beside the one that it will replace."""

MAX_JSON_BYTES: Final = 32 * 1024**2
"""Some 200 trainings of the study in a benchmark JSON; of more, give their folder of records."""


class _Sealed(BaseModel):
    """A record behind the SHA-256 of its JSON, so that a flipped bit is not taken for a figure."""

    model_config = ConfigDict(strict=True, extra="forbid")

    sha256: str
    record: Record

    @model_validator(mode="after")
    def _check_digest(self) -> Self:
        if _digest(self.record) != self.sha256:
            message = "the record is not what its SHA-256 says; the file was changed or damaged"
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
    records: Several[_Sealed]
    """Those that no benchmark carries."""


class _BenchmarkFile(BaseModel):
    """What we read of a pytest-benchmark JSON."""

    model_config = ConfigDict(strict=True, extra="ignore")

    benchmarks: Several[_Benchmark]
    section: _Section = Field(alias=EXTRA_INFO_KEY)


def check_output(out: Path) -> None:
    """Require that the output folder can be made and written, on a disk with room.

    Raises:
        SetupError: It cannot, or the disk is nearly full.

    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise SetupError(
            f"the output folder {out} cannot be written ({error.strerror})",
            expected="a writable folder",
            remedy="choose another with --out",
        ) from error
    free = shutil.disk_usage(out).free
    if free < OUTPUT_BYTES_NEEDED:
        raise SetupError(
            f"{free / 1024**2:.0f} MiB free where {out} lies",
            expected=f"at least {OUTPUT_BYTES_NEEDED / 1024**2:.0f} MiB",
            remedy="free some space, or choose another folder with --out",
        )


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside, flush it to the disk and rename it, so that ``path`` is old or new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED_SUFFIX)
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


def seal(record: TrainingRecord | InferenceRecord) -> dict[str, object]:
    """Return a record as JSON's types, behind its SHA-256."""
    return {"sha256": _digest(record), "record": record.model_dump(mode="json")}


def _digest(record: TrainingRecord | InferenceRecord) -> str:
    # defaults left out: a record of before a field was added keeps its digest
    return hashlib.sha256(record.model_dump_json(exclude_defaults=True).encode()).hexdigest()


def write_record(folder: Path, record: TrainingRecord | InferenceRecord) -> Path:
    """Write a record into a folder under a name that tells its case, and return its path.

    Raises:
        SetupError: It cannot be written.

    """
    last = f"seed{record.seed}" if isinstance(record, TrainingRecord) else f"batch{record.batch_size}"
    mark = record.identity if isinstance(record, TrainingRecord) else _mark_of_place(record)
    name = quote(record.model, safe="")  # package.module:function is no name of a file everywhere
    stem = "-".join((record.kind, name, record.device.replace(":", ""), last, mark[:8]))
    path = folder / f"{stem}.json"
    try:
        write_whole(path, json.dumps(seal(record), separators=(",", ":")).encode())
    except OSError as error:
        raise SetupError(
            f"{path} cannot be written ({error.strerror})",
            expected="room for a record; those written before are whole",
            remedy="make room, then run again: finished cases are not measured twice",
        ) from error
    return path


def _mark_of_place(record: InferenceRecord) -> str:
    """Return a digest of where and how the forward pass was timed: only the same place takes a file's place."""
    where = record.environment
    place = (record.device_name, where.cpu, where.threads, record.execution, record.precision)
    return hashlib.sha256(json.dumps(place).encode()).hexdigest()


def find_finished(folder: Path, warn: Callable[[str], None]) -> dict[str, TrainingRecord]:
    """Return the finished trainings of a folder by identity; a file that is no whole record is told and passed over."""
    found: dict[str, TrainingRecord] = {}
    for path in sorted(folder.glob("training-*.json")):
        try:
            (record,) = _read_file(path)
        except InputError as error:
            warn(f"Not believed, and measured anew if it is asked for: {error.found}")
            continue
        if isinstance(record, TrainingRecord) and record.status == "finished":
            found[record.identity] = record
    return found


@contextmanager
def hold_folder(folder: Path, who: str) -> Iterator[None]:
    """Keep a folder to this process while the block runs; the lock of a killed process is no hindrance.

    Args:
        folder: Where records are written.
        who: Says to others who holds it.

    Raises:
        SetupError: Another process holds it.

    """
    path = folder / ".lock"
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        with suppress(OSError):
            who = path.read_text(encoding="utf-8", errors="replace")[:200]
        raise SetupError(
            f"the folder {folder} is in use by another run ({who})",
            expected="one run at a time in a folder",
            remedy="wait for it to end, or choose another folder with --out",
        ) from error
    try:
        path.write_text(who, encoding="utf-8")
        for left_by_a_killed_run in folder.rglob(f".*{UNFINISHED_SUFFIX}"):
            left_by_a_killed_run.unlink(missing_ok=True)
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        lock.release()


def benchmark_section(records: Iterable[TrainingRecord | InferenceRecord]) -> dict[str, object]:
    """Return our part of a benchmark JSON: the schema number and the records that no benchmark carries."""
    return bundle(record for record in records if record.status != "finished")


def bundle(records: Iterable[TrainingRecord | InferenceRecord]) -> dict[str, object]:
    """Return the schema number and records that stand by themselves, as JSON's types."""
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
        # through Python's types: pydantic's errors copy JSON's own types whole, once for every field that is missing
        document = json.loads(content)
        if isinstance(document, dict) and "record" in document:
            return [_Sealed.model_validate(document).record]
        file = _BenchmarkFile.model_validate(document)
    except (ValidationError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: {parse_failure(error) if isinstance(error, ValidationError) else error}",
            expected=f"a pytest-benchmark JSON of FashionBench or a record, schema {SCHEMA}",
            remedy="make it anew with nox -s bench",
        ) from error
    sealed = [*(benchmark.extra_info.sealed for benchmark in file.benchmarks), *file.section.records]
    return [each.record for each in sealed if each is not None]
