"""Small cases, what is known of them before, and how tests measure them."""

from synthetic import make_environment

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device
from fashionbench.recipe import Recipe
from fashionbench.records.record import Environment, TrainingRecord
from fashionbench.training.case import Case
from fashionbench.training.clock import TrainingClock
from fashionbench.training.identity import Provenance, code_digest, identify, model_digest
from fashionbench.training.loop import Supervision
from fashionbench.training.measure import measure_training

CPU = Device(word="cpu", name="Some CPU")
TINY = Recipe(name="tiny", epochs=2, batch_size=50, batch_size_by_model={"resnet18": 25}, is_result=False)


def tiny_case(model: str = "fashioncnn", recipe: Recipe = TINY, seed: int = 0) -> Case:
    return Case(model=model, device=CPU, recipe=recipe, seed=seed)


def provenance_of(case: Case, dataset: Dataset, environment: Environment | None = None) -> Provenance:
    return Provenance(
        identity=identify(case, dataset),
        environment=environment or make_environment(),
        code_sha256=code_digest(),
        model_sha256=model_digest(case.model),
    )


def measure(case: Case, dataset: Dataset, clock: TrainingClock | None = None) -> TrainingRecord:
    supervision = Supervision(clock=clock or TrainingClock())
    return measure_training(case, dataset, provenance_of(case, dataset), supervision)
