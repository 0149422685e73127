"""One training to be measured: model, device, recipe, seed, execution and precision."""

from dataclasses import dataclass

from torch import nn

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device
from fashionbench.execution.fast import speed_up
from fashionbench.models.baselines import Baseline
from fashionbench.models.registry import build_model
from fashionbench.recipe import Recipe
from fashionbench.records.record import Execution, Precision

__all__ = ["Case", "build_for", "build_plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One training to be measured."""

    model: str
    device: Device
    recipe: Recipe
    seed: int
    execution: Execution = "fast"
    precision: Precision = "fp32"

    @property
    def name(self) -> str:
        """The case in a word: ``resnet18-cpu-0``."""
        return f"{self.model}-{self.device.word}-{self.seed}"


def build_for(case: Case, dataset: Dataset) -> nn.Module:
    """Build a case's model on the CPU, with weights from its seed, as its execution wants it."""
    model = build_plain(case.model, dataset, case.seed)
    rewritten = case.execution == "fast" and not isinstance(model, Baseline)
    return speed_up(model, dataset.task.shape) if rewritten else model


def build_plain(name: str, dataset: Dataset, seed: int) -> nn.Module:
    """Build a model on the CPU as it is defined, with weights from a seed."""
    return build_model(name, dataset.task, seed)
