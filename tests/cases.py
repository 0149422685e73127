"""Small cases, what is known of them before, and how tests measure them."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from synthetic import make_environment

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device, list_devices
from fashionbench.recipe.fields import Hyperparameters, Recipe
from fashionbench.records.record import Environment, TrainingRecord
from fashionbench.running.cluster import Cluster
from fashionbench.running.process.case import Job
from fashionbench.training.case import Case
from fashionbench.training.clock import TrainingClock
from fashionbench.training.identity import Provenance, code_digest, identify, model_digest
from fashionbench.training.loop import Supervision
from fashionbench.training.measure import measure_training

CPU = Device(word="cpu", name="Some CPU")
TINY = Recipe(name="tiny", epochs=2, batch_size=50, model={"resnet18": Hyperparameters(batch_size=25)}, is_result=False)


def tiny_case(model: str = "fashioncnn", recipe: Recipe = TINY, seed: int = 0) -> Case:
    return Case(model=model, device=CPU, recipe=recipe, seed=seed, rewritten=True)  # as a run has decided


def provenance_of(case: Case, dataset: Dataset, environment: Environment | None = None) -> Provenance:
    return Provenance(
        identity=identify(case, model_digest(case.model), dataset),
        environment=environment or make_environment(),
        code_sha256=code_digest(),
        model_sha256=model_digest(case.model),
    )


def measure(case: Case, dataset: Dataset, clock: TrainingClock | None = None) -> TrainingRecord:
    supervision = Supervision(clock=clock or TrainingClock())
    return measure_training(case, dataset, provenance_of(case, dataset), supervision)


def job_of(seed: int, folder: Path, dataset: Dataset, recipe: Recipe = TINY, device: Device | None = None) -> Job:
    """Return FashionCNN's case on a device that is here, with its checkpoint in a folder."""
    case = Case(model="fashioncnn", device=device or list_devices()[0], recipe=recipe, seed=seed, rewritten=True)
    return Job(
        case=case,
        provenance=provenance_of(case, dataset),
        checkpoint=folder / f"{seed}.pt",
        seconds_between_checkpoints=0.0,
    )


def collect(
    cluster: Cluster, dataset: Dataset, jobs: list[Job], meanwhile: Callable[[Job, object], object] = lambda *_: None
) -> dict[int, TrainingRecord]:
    """Keep checkpoints as a run does, and return the records by seed."""
    records = {}
    with closing(cluster.measure(jobs, dataset, limit_seconds=None)) as messages:
        for job, message in messages:
            if isinstance(message, bytes):
                assert job.checkpoint is not None
                job.checkpoint.write_bytes(message)
            if isinstance(message, TrainingRecord):
                assert job.case.seed not in records
                records[job.case.seed] = message
            meanwhile(job, message)
    return records
