"""What makes a case the same case: everything that decides its numbers, and nothing else."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Final

import torch

from fashionbench.data.dataset import Dataset
from fashionbench.models.registry import source_of
from fashionbench.training.case import Case

__all__ = ["MEASURING", "code_digest", "identify"]

MEASURING: Final = ("recipe.py", "data", "devices", "execution", "models", "training")
"""The files and rooms of this package that decide numbers: a change in any of them makes a case another case."""


def identify(case: Case, dataset: Dataset) -> str:
    """Return the SHA-256 of a case's model, device, recipe, seed, data, execution, threads, torch and our own code."""
    facts = {
        "model": (case.model, hashlib.sha256(source_of(case.model)).hexdigest()),
        "device": (case.device.word, case.device.name, case.device.host),
        "recipe": case.recipe.model_dump(mode="json"),
        "seed": case.seed,
        "data": dict(dataset.digests),
        "execution": case.execution,
        "precision": case.precision,
        "threads": case.device.threads,
        "torch": torch.__version__,
        "code": code_digest(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@cache
def code_digest() -> str:
    """Return the SHA-256 of the code that decides numbers: names and contents of the files of ``MEASURING``."""
    package = Path(__file__).parents[1]
    paths = [path for name in MEASURING for path in sorted((package / name).rglob("*.py")) or [package / name]]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
