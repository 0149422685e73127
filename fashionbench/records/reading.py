"""Records read from any mix of files and folders, whatever the files contain."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fashionbench.errors import InputError, visible
from fashionbench.opening import leads_out_of, read_regular
from fashionbench.records.fields import TupleOf
from fashionbench.records.manifest import MANIFEST_NAME, EpochEstimate, Manifest
from fashionbench.records.record import SCHEMA, InferenceRecord, Record, TrainingRecord
from fashionbench.records.store import EXTRA_INFO_KEY, digest_of

__all__ = ["MAX_JSON_BYTES", "find_finished", "read_estimates", "read_manifest", "read_records"]

MAX_JSON_BYTES: Final = 32 * 1024**2
"""About 200 trainings of the study in a benchmark JSON. A folder of records has no such limit."""

MOST_PARTS: Final = 500_000
"""Lists and objects of a file. Each takes some 100 bytes of memory, and may take two of the file."""

SHOWN: Final = 300
"""Characters of a path or of an error that a message quotes."""

MOST_ERRORS: Final = 1_000
"""Validation errors of a file that are looked at; an untrusted file may cause millions."""


class _Sealed(BaseModel):
    """A record with the SHA-256 of its JSON, so that a damaged file is detected."""

    model_config = ConfigDict(strict=True, extra="forbid")

    sha256: str
    record: Record

    @model_validator(mode="after")
    def _check_digest(self) -> Self:
        if digest_of(self.record) != self.sha256:
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


def read_records(
    paths: str | Path | Iterable[str | Path],
    *,
    all_runs: bool = False,
    announce: Callable[[str], None] | None = None,
) -> tuple[TrainingRecord | InferenceRecord, ...]:
    """Read the records of benchmark JSONs, record files and folders, in the given order.

    Args:
        paths: One or several. In the output folder of a run, the records are those of its last run.
        all_runs: Whether to read the records of all runs in an output folder.
        announce: Shows a line for each folder in which records of earlier runs are left out.

    Raises:
        InputError: A path does not exist, cannot be read, or contains something other than records of this schema.

    """
    given = [Path(path) for path in ((paths,) if isinstance(paths, str | Path) else paths)]
    records: list[TrainingRecord | InferenceRecord] = []
    for path in given:
        found = _read_path(path)
        manifest = None if all_runs else read_manifest(path)
        if manifest is not None:
            everything, found = found, [each for each in found if each.identity in manifest.identities]
            _check_last_run(path, manifest, found, everything)
            if announce is not None and len(found) < len(everything):
                left_out = f"{len(everything) - len(found):,} of {len(everything):,} records are of earlier runs and"
                announce(visible(f"{path}: {left_out} are left out; --all includes them"))
        records.extend(found)
    if not records:
        raise InputError(
            f"no record in {', '.join(map(str, given)) or 'an empty list of paths'}",
            expected="a benchmark JSON with at least one case",
            remedy="measure first with nox -s bench or fashionbench run",
        )
    return tuple(records)


def _read_path(path: Path) -> list[TrainingRecord | InferenceRecord]:
    try:
        folder = path / "records" if (path / "records").is_dir() else path
        files = sorted(folder.glob("*.json")) if folder.is_dir() else [path]
    except OSError as error:
        raise InputError(
            f"path {str(path)[:SHOWN]} cannot be read ({error.strerror})",
            expected="a benchmark JSON, a record or a folder of records",
            remedy="check the path",
        ) from error
    if not files:
        raise InputError(
            f"no record in {path}",
            expected="record files (*.json)",
            remedy="check the path, or measure first with nox -s bench or fashionbench run",
        )
    if files != [path]:
        _refuse_links(path, files)
    return [record for file in files for record in _read_file(file)]


def _refuse_links(folder: Path, files: Iterable[Path]) -> None:
    for file in files:
        if leads_out_of(folder, file):
            raise InputError(
                f"file {file} is a link, or in a linked folder, that leads out of the folder {folder}",
                expected="records within the folder that was given",
                remedy="remove the link, or give the folder that it leads to",
            )


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of the last run that wrote to a folder; None if it has none.

    Raises:
        InputError: It cannot be read, or is not a manifest.

    """
    path = folder / MANIFEST_NAME
    if not (folder / "records").is_dir() or not path.exists():
        return None
    _refuse_links(folder, [path])
    try:
        return Manifest.model_validate_json(_read_bounded(path))
    except ValidationError as error:
        raise InputError(
            f"file {path}: {_describe_validation(error)}",
            expected="the identities of the last run's cases",
            remedy="read the records of all runs with --all, or repeat the run",
        ) from error


def read_estimates(folder: Path, say: Callable[[str], None]) -> tuple[EpochEstimate, ...]:
    """Return what runs in a folder measured before their budgets; nothing, and a line, if the manifest is damaged."""
    try:
        manifest = read_manifest(folder)
    except InputError as error:
        say(f"The epochs are estimated again: {error.found}")
        return ()
    return () if manifest is None else manifest.estimates


def _check_last_run(
    path: Path,
    manifest: Manifest,
    found: list[TrainingRecord | InferenceRecord],
    everything: list[TrainingRecord | InferenceRecord],
) -> None:
    if not found:
        raise InputError(
            f"none of the {len(everything):,} records in {path} is of its last run, started {manifest.started}",
            expected="at least one",
            remedy="read the records of all runs with --all, or repeat the last run",
        )


def find_finished(folder: Path, warn: Callable[[str], None]) -> dict[str, TrainingRecord]:
    """Return the finished trainings of a folder by identity; skip damaged files with a warning."""
    found: dict[str, TrainingRecord] = {}
    for path in sorted(folder.glob("training-*.json")):
        try:
            _refuse_links(folder, [path])
            (record,) = _read_file(path)
        except InputError as error:
            warn(f"Damaged record skipped, its case is measured again: {error.found}")
            continue
        if isinstance(record, TrainingRecord) and record.status == "finished":
            found[record.identity] = record
    return found


def _read_file(path: Path) -> list[TrainingRecord | InferenceRecord]:
    content = _read_bounded(path)
    try:
        # not model_validate_json: its errors copy the whole input once for each missing field
        document = json.loads(content)
        if isinstance(document, dict) and "record" in document:
            return [_Sealed.model_validate(document).record]
        file = _BenchmarkFile.model_validate(document)
    except (ValidationError, ValueError, RecursionError) as error:
        raise InputError(
            f"file {path}: {_describe_validation(error) if isinstance(error, ValidationError) else str(error)[:SHOWN]}",
            expected=f"a benchmark JSON of FashionBench or a record, schema version {SCHEMA}",
            remedy="measure again with nox -s bench or fashionbench run",
        ) from error
    sealed = [*(benchmark.extra_info.sealed for benchmark in file.benchmarks), *file.section.records]
    return [each.record for each in sealed if each is not None]


def _read_bounded(path: Path) -> bytes:
    try:
        content = read_regular(path, MAX_JSON_BYTES)
    except OSError as error:
        raise InputError(
            f"file {path} cannot be read ({error.strerror})",
            expected="a benchmark JSON, a record or a folder of records",
            remedy="check the path, or measure first with nox -s bench or fashionbench run",
        ) from error
    if sum(map(content.count, (b"[", b"{"))) > MOST_PARTS:
        raise InputError(
            f"file {path} has over {MOST_PARTS:,} lists and objects",
            expected="a benchmark JSON or a record",
            remedy="check that it is one, or give the folder of its records",
        )
    return content


def _describe_validation(error: ValidationError) -> str:
    """Return the first validation error, with its field."""
    if error.error_count() > MOST_ERRORS:
        return f"{error.error_count():,} fields are invalid"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ": ".join(part for part in (".".join(map(str, first["loc"]))[:SHOWN], first["msg"][:SHOWN]) if part)
