"""Records written as files, each sealed by a digest."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from fashionbench.errors import SetupError
from fashionbench.records.files import write_atomically
from fashionbench.records.record import SCHEMA, InferenceRecord, TrainingRecord

__all__ = [
    "EXTRA_INFO_KEY",
    "benchmark_section",
    "bundle",
    "digest_of",
    "seal",
    "write_record",
]

LONGEST_NAME: Final = 100
"""Letters of a model's name in a file name: it may contain the path of a file, and the digest tells files apart."""

EXTRA_INFO_KEY: Final = "fashionbench"
"""The key of a case's record in a benchmark's extra_info, and of our section in a benchmark JSON."""


def seal(record: TrainingRecord | InferenceRecord) -> dict[str, object]:
    """Return a record as JSON types, with its SHA-256."""
    return {"sha256": digest_of(record), "record": record.model_dump(mode="json")}


def digest_of(record: TrainingRecord | InferenceRecord) -> str:
    """Return the SHA-256 that seals a record."""
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
        number, digest = f"batch{record.batch_size}", record.identity or _setting_digest(record)
    name = quote(record.model, safe="")[:LONGEST_NAME]  # package.module:function is not a file name on all systems
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
    """Return a digest of the hardware and execution of an inference that has no identity."""
    host = record.environment
    setting = (record.device_name, host.cpu, host.threads, record.execution, record.precision)
    return hashlib.sha256(json.dumps(setting).encode()).hexdigest()


def benchmark_section(records: Iterable[TrainingRecord | InferenceRecord]) -> dict[str, object]:
    """Return our section of a benchmark JSON: the schema version and the records without a benchmark."""
    return bundle(record for record in records if record.status != "finished")


def bundle(records: Iterable[TrainingRecord | InferenceRecord]) -> dict[str, object]:
    """Return records with the schema version, as JSON types."""
    return {"schema_version": SCHEMA, "records": [seal(record) for record in records]}
