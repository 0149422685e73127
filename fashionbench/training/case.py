"""One training to be measured, and the step that it takes again and again."""

from dataclasses import dataclass, field

import torch
from torch import nn

from fashionbench.data.dataset import Task
from fashionbench.devices.device import Device
from fashionbench.errors import InputError
from fashionbench.execution.step import StepOptions, TrainingStep, Update, prepare_step
from fashionbench.models.registry import build_model, find_new
from fashionbench.models.sources.transfer import freeze_all_but, normalize
from fashionbench.recipe.fields import Hyperparameters, Recipe
from fashionbench.records.record import Execution, Precision, Trial

__all__ = ["Case", "InferenceCase"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One training to be measured: model, device, recipe, seed, execution and precision."""

    model: str
    device: Device
    recipe: Recipe
    seed: int
    execution: Execution = "fast"
    precision: Precision = "fp32"
    label: str = field(default="", compare=False)
    """What people see in place of its seed."""
    rewritten: bool | None = field(default=None, compare=False)
    """Whether the fast execution rewrites the model's layers; None: it is decided when the model is prepared."""
    unfit: str = field(default="", compare=False)
    """Why it cannot be trained although its device is there; empty if it can."""

    trial: Trial | None = field(default=None, compare=False)
    """How the fast execution's steps were chosen on an accelerator; None: they are computed as on the CPU."""

    @property
    def words(self) -> tuple[str | int, ...]:
        """What distinguishes the cases of a plan with one recipe: model, device, seed, and the budget if it has one."""
        budget = self.recipe.budget_minutes
        return (self.model, self.device.word, self.seed, *([] if budget is None else [f"{budget:g}min"]))

    @property
    def name(self) -> str:
        """The case for people: ``resnet18 on cpu, seed 0``, or with its budget ``resnet18 on cpu, seed 0, 2 min``."""
        return self.name_on(self.device.word)

    def name_on(self, device: str) -> str:
        """Return its name with another name for its device."""
        budget = self.recipe.budget_minutes
        minutes = "" if budget is None else f", {budget:g} min"
        return f"{self.model} on {device}, {self.label or f'seed {self.seed}'}{minutes}"

    @property
    def key(self) -> str:
        """The case in one word: ``resnet18-cpu-0``, or with its budget ``resnet18-cpu-0-2min``."""
        return "-".join(map(str, self.words))

    @property
    def absence(self) -> str:
        """Why it cannot be trained; empty if it can."""
        return self.device.absence or self.unfit

    @property
    def hyperparameters(self) -> Hyperparameters:
        """How its model is trained: the recipe, with what it says of this model."""
        return self.recipe.for_model(self.model)

    @property
    def torch_device(self) -> torch.device:
        """Where it trains."""
        return torch.device(self.device.word)

    def build(self, task: Task) -> nn.Module:
        """Build its model on the CPU, in training mode, with what its recipe freezes and normalises.

        Raises:
            InputError: The model cannot be built, or the recipe does not fit it.

        """
        how, model = self.hyperparameters, build_model(self.model, task, self.seed)
        if how.augment.shift >= min(task.shape[1:]):
            raise InputError(
                f"augment shift {how.augment.shift} for images of {task.shape[1]} x {task.shape[2]} pixels",
                expected="fewer pixels than an image has",
                remedy="lower shift in the recipe",
            )
        if how.freeze is not None:
            freeze_all_but(model, task.classes, find_new(self.model, model, task.classes))
        return model if how.normalize is None else normalize(model, how.normalize, task.shape[0])

    @property
    def options(self) -> StepOptions:
        """How its steps are computed."""
        how = self.hyperparameters
        return StepOptions(
            execution=self.execution,
            precision=self.precision,
            label_smoothing=how.label_smoothing,
            update=Update(
                optimizer=how.optimizer,
                momentum=how.momentum,
                weight_decay=how.weight_decay,
                cycles=how.cycles_betas,
            ),
            rewritten=self.rewritten,
            method=None if self.trial is None else self.trial.chosen,
        )

    def prepare(self, model: nn.Module, task: Task) -> TrainingStep:
        """Make a model ready to train as this case does; it is changed in place."""
        rate = self.hyperparameters.learning_rate
        return prepare_step(model, task, device=self.torch_device, learning_rate=rate, options=self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceCase:
    """A forward pass to be timed."""

    model: str
    device: Device
    batch_size: int
    execution: Execution
    precision: Precision
    seconds: float
    """How long it is timed, if that is more than ten rounds."""

    @property
    def torch_device(self) -> torch.device:
        """Where it runs."""
        return torch.device(self.device.word)
