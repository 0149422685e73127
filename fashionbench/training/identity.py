"""What makes a case the same case, and what is known of it before it is measured."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import sklearn
import torch

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device
from fashionbench.errors import CaseFailedError, visible
from fashionbench.models.registry import source_of
from fashionbench.records.record import Environment, Peak
from fashionbench.training.case import Case, InferenceCase

__all__ = [
    "MEASURING",
    "Provenance",
    "code_digest",
    "identify",
    "identify_inference",
    "identify_trial",
    "model_digest",
    "now",
    "record_fields",
    "require_same_model",
]

PACKAGE: Final = Path(__file__).parents[1]
MEASURING: Final = ("recipe", "data", "devices", "execution", "models", "training")
"""The files and packages that decide numbers: a change in any of them makes a case another case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What is known of a case before it is measured; it travels with the case and enters its record unchanged."""

    identity: str
    environment: Environment
    code_sha256: str
    model_sha256: str
    peak: Peak | None = None
    looks: tuple[int, ...] = ()
    """Planned numbers of seeds at which the verdict is looked at."""


def record_fields(case: Case | InferenceCase, provenance: Provenance) -> dict[str, Any]:
    """Return the fields that the records of a training and of a forward pass share, measured now."""
    return {
        "model": case.model,
        "device": case.device.word,
        "device_name": visible(case.device.name),
        "execution": case.execution,
        "precision": case.precision,
        "measured_at": now(),
        "environment": provenance.environment,
        "peak": provenance.peak,
        "code_sha256": provenance.code_sha256,
        "model_sha256": provenance.model_sha256,
        "model_info": None,
        "identity": provenance.identity,
        "result": None,
    }


def now() -> str:
    """Return the time, UTC, ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def identify(case: Case, model_sha256: str, dataset: Dataset) -> str:
    """Return the SHA-256 of all that decides a case's numbers; a case of the same identity is not measured again.

    That is the model and its source, device, recipe, seed, data, execution, precision, threads, torch, scikit-learn,
    which splits the data, and our own code.
    """
    facts = {
        "model": (case.model, model_sha256),
        "recipe": case.recipe.model_dump(mode="json"),
        "seed": case.seed,
        "data": dict(dataset.digests),
        "execution": case.execution,
        "precision": case.precision,
        **_place(case.device),
    }
    return _digest(facts)


def identify_inference(case: InferenceCase, model_sha256: str, dataset: Dataset) -> str:
    """Return the SHA-256 of all that decides the times of a forward pass, as ``identify`` does for a training."""
    facts = {
        "model": (case.model, model_sha256),
        "batch_size": case.batch_size,
        "data": dict(dataset.digests),
        "execution": case.execution,
        "precision": case.precision,
        **_place(case.device),
    }
    return _digest(facts)


def identify_trial(case: Case, dataset: Dataset) -> str:
    """Return the SHA-256 of all that decides how the steps of a case are chosen.

    Its seed does not, nor how large the learning rate, weight decay and label smoothing are.
    """
    how, options = case.hyperparameters, asdict(replace(case, trial=None, rewritten=None).options)
    options["label_smoothing"], options["update"]["weight_decay"] = (
        each > 0 for each in (options["label_smoothing"], options["update"]["weight_decay"])
    )
    facts = {
        "model": (case.model, model_digest(case.model)),
        "batch_size": how.batch_size,
        "schedule": (how.schedule, (how.warmup_fraction or 0) > 0),
        "network": (how.freeze, how.normalize),
        "data": dict(dataset.digests),
        "options": options,
        **_place(case.device),
    }
    return _digest(facts)


def _place(device: Device) -> dict[str, object]:
    """Return where a case is measured, and with which software."""
    return {
        "device": (device.word, device.name, device.host),
        "threads": device.threads,
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "code": code_digest(),
    }


def _digest(facts: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def model_digest(model: str) -> str:
    """Return the SHA-256 of a model's source as it is on the disk now, or of its library's version."""
    return hashlib.sha256(source_of(model)).hexdigest()


def require_same_model(model: str, digest: str) -> None:
    """Require that a model's source is what it was when the run began.

    Raises:
        CaseFailedError: It was edited since.

    """
    if model_digest(model) != digest:
        raise CaseFailedError(
            f"the source of model {model!r} changed during the run",
            expected="the source that the run began with",
            remedy="run the same command again to measure the new one",
        )


@cache
def code_digest(package: Path = PACKAGE) -> str:
    """Return the SHA-256 of the code that decides numbers: names and contents of the files of ``MEASURING``."""
    paths = [path for name in MEASURING for path in sorted((package / name).rglob("*.py")) or [package / name]]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
