"""What makes a case the same case: everything that decides its numbers, and nothing else."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fashionbench import recipe as recipe_module
from fashionbench.measure.data import Dataset
from fashionbench.measure.models import source_of

if TYPE_CHECKING:
    from fashionbench.measure.case import Case

__all__ = ["code_digest", "identify"]


def identify(case: "Case", dataset: Dataset) -> str:
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
    """Return the SHA-256 of our own measuring code."""
    sources = [*sorted(Path(__file__).parent.glob("*.py")), Path(str(recipe_module.__file__))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
