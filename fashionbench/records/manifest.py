"""The manifest of a run: which records of an output folder belong to its last run."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from fashionbench.errors import SetupError
from fashionbench.records.fields import Duration, Name, Strict, Text, Time, TupleOf
from fashionbench.records.files import write_atomically
from fashionbench.records.record import SCHEMA, Identity

__all__ = ["MANIFEST_NAME", "EpochEstimate", "Manifest", "write_manifest"]

MANIFEST_NAME: Final = "run.json"

MOST_CASES: Final = 1_000_000

Identities = Annotated[TupleOf[Identity], Field(max_length=MOST_CASES)]


class EpochEstimate(Strict):
    """How long an epoch takes, measured before a run with budgets: it decides the epochs of each budget."""

    identity: Identity
    """Of the training with the run's recipe and seed 0: what it depends on is what the estimate depends on."""
    model: Name
    device: Text
    seconds: Duration


class Manifest(Strict):
    """What a run planned when it began."""

    schema_version: Literal[1] = SCHEMA
    command: Text
    """The command, without absolute paths."""
    started: Time
    trainings: Identities
    """Identities of the planned trainings."""
    inferences: Identities
    """Identities of the planned timings of the forward pass."""
    estimates: Annotated[TupleOf[EpochEstimate], Field(max_length=MOST_CASES)] = ()
    """Of all runs with budgets in the folder, so that the same command trains for the same epochs again."""

    @property
    def identities(self) -> frozenset[str]:
        """Return the identities of everything that was planned."""
        return frozenset(self.trainings + self.inferences)


def write_manifest(out: Path, manifest: Manifest) -> None:
    """Write the manifest of a run into its output folder, in place of the previous run's.

    Raises:
        SetupError: It cannot be written.

    """
    path = out / MANIFEST_NAME
    try:
        write_atomically(path, manifest.model_dump_json(indent=1).encode() + b"\n")
    except OSError as error:
        raise SetupError(
            f"file {path} cannot be written ({error.strerror})",
            expected="free disk space and write permission",
            remedy="free some space, then repeat the command",
        ) from error
