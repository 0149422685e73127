"""What a run measures: its options checked against what there is, and its cases in order."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Final, Literal, Self

from fashionbench.catalogue import is_baseline
from fashionbench.data.dataset import AS_STORED, Reading
from fashionbench.devices.device import Device, select_devices
from fashionbench.errors import InputError
from fashionbench.judging.rule import DEFAULT_THRESHOLDS, Thresholds
from fashionbench.options.option import Engine, Execution, Given, Precision
from fashionbench.options.parsing import MOST_SEEDS
from fashionbench.options.run import (
    ADDRESS,
    BUDGETS,
    DATA,
    DATASET,
    DEVICES,
    ENGINE,
    EXECUTION,
    FORMAT,
    FORMATS,
    FRESH,
    LIMIT,
    MODELS,
    OUT,
    PRECISION,
    RECIPE,
    SEEDS,
    SELF_CHECK,
    UNTIL_DECIDED,
)
from fashionbench.recipe.fields import Recipe
from fashionbench.recipe.file import load_recipe
from fashionbench.records.manifest import EpochEstimate
from fashionbench.records.record import TrainingRecord, Trial
from fashionbench.running.process.own import require_model
from fashionbench.training.case import Case
from fashionbench.training.inference import BATCH_SIZES

__all__ = ["FIRST_LOOK", "Arm", "Plan", "RunOptions", "make_plan", "require_same_looks"]

FIRST_LOOK: Final = 3
"""Seeds from which on the verdict's intervals cover the true value as often as they state."""

NEXT_LOOK: Final = 1.5
"""Growth of the seeds from one interim analysis to the next: with few, each keeps much of the 5 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of a run, each read; ``fashionbench/options/run.py`` says what they mean."""

    recipe: str
    models: tuple[str, ...]
    dataset: str
    reading: Reading
    devices: tuple[str, ...]
    seeds: tuple[int, ...]
    budgets: tuple[float, ...]
    until_decided: int | None
    execution: Execution
    precision: Precision | None
    thresholds: Thresholds
    self_check: bool
    limit_minutes: float | None
    fresh: bool
    engine: Engine
    address: str | None
    data: Path | None
    out: Path
    formats: tuple[str, ...]

    @classmethod
    def read(cls, given: Given) -> Self:
        """Read the options from what was given.

        Raises:
            InputError: A text that its option does not take.

        """
        return cls(
            recipe=RECIPE.read(given),
            models=MODELS.read(given),
            dataset=DATASET.read(given),
            reading=Reading.read(given),
            devices=DEVICES.read(given),
            seeds=SEEDS.read(given),
            budgets=BUDGETS.read(given),
            until_decided=UNTIL_DECIDED.read(given),
            execution=EXECUTION.read(given),
            precision=PRECISION.read(given),
            thresholds=Thresholds.read(given),
            self_check=SELF_CHECK.read(given),
            limit_minutes=LIMIT.read(given),
            fresh=FRESH.read(given),
            engine=ENGINE.read(given),
            address=ADDRESS.read(given),
            data=DATA.read(given),
            out=OUT.read(given),
            formats=FORMAT.read(given),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One of a seed's trainings: a model and how it is trained."""

    model: str
    recipe: Recipe
    label: str = ""
    """What people see in place of the seed."""
    unfit: str = ""
    """Why it is not carried out; empty if it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run measures."""

    recipe: Recipe
    models: tuple[str, ...]
    devices: tuple[Device, ...]
    seeds: tuple[int, ...]
    """All that may be trained."""
    thresholds: Thresholds = DEFAULT_THRESHOLDS
    limit_minutes: float | None = None
    """After how long a training is stopped."""
    dataset: str = DATASET.default
    """A word or path for ``load_dataset``."""
    reading: Reading = AS_STORED
    execution: Execution = "fast"
    precision: Precision | None = None
    """Of every device; None: what the recipe asks for."""
    arms: Mapping[Device, tuple[Arm, ...]] = field(default_factory=dict)
    """The trainings of each seed on each device, where they differ by more than the model; empty: ``recipe``."""
    estimates: tuple[EpochEstimate, ...] = ()
    """What the epochs of budgets come from."""
    scored_on: Literal["test", "validation"] = "test"
    """Which images a training is scored on; no case is given the test images where it is ``validation``."""
    looks: tuple[int, ...] = ()
    """Numbers of seeds at which a device's verdict is judged, the last being all; empty: all seeds are trained."""
    self_check: bool = False
    """Train the first case of each device twice and report the difference; set where that is cheap."""
    fresh: bool = False
    """Measure finished cases again."""
    rewritten: Mapping[str, bool] = field(default_factory=dict)
    """Whether the fast execution rewrites a model's layers, as the pre-flight has decided for those to be trained."""
    trials: Mapping[tuple[str, Device, str], Trial] = field(default_factory=dict)
    """How the fast execution computes steps on an accelerator, by model, device and the recipe's name, as tried."""
    formats: tuple[str, ...] = tuple(FORMATS)
    """Of the report."""

    def cases(self) -> tuple[Case, ...]:
        """Return the cases in measuring order: by device and seed, every other seed with the models reversed (ABBA)."""
        by_default = tuple(Arm(model=model, recipe=self.recipe) for model in self.models)
        return tuple(
            Case(
                model=arm.model,
                device=device,
                recipe=arm.recipe,
                seed=seed,
                label=arm.label,
                execution=self.execution,
                precision=self.precision_on(device),
                rewritten=self.rewritten.get(arm.model),
                trial=self.trials.get((arm.model, device, arm.recipe.name)),
                unfit=arm.unfit,
            )
            for device in self.devices
            for place, seed in enumerate(self.seeds)
            for arm in self.arms.get(device, by_default)[:: 1 if place % 2 == 0 else -1]
            if _runs_on(arm.model, device)
        )

    def precision_on(self, device: Device) -> Precision:
        """Return the arithmetic of a device; a recipe's bf16 is for those that have instructions for it."""
        if self.precision is not None:
            return self.precision
        return self.recipe.precision if device.bf16 else "fp32"

    def describe(self, device: Device) -> str:
        """Return what a device is, and its arithmetic where that is not fp32 or not what the recipe asks for."""
        if device.absence:
            return f"absent: {device.absence}"
        found, asked = self.precision_on(device), self.precision or self.recipe.precision
        if found != asked:
            return f"{device.name}, in {found}: PyTorch knows of no instructions for {asked}"
        return device.name if found == "fp32" else f"{device.name}, in {found}"

    def inferences(self) -> tuple[tuple[str, Device, int], ...]:
        """Return model, device and batch size of each forward pass to be timed."""
        return tuple(
            (model, device, batch_size)
            for device in self.devices
            for model in self.models
            if _runs_on(model, device)
            for batch_size in BATCH_SIZES
        )

    def repeated(self, case: Case) -> bool:
        """Say whether a case is trained once more."""
        return self.self_check and case == next(each for each in self.cases() if each.device == case.device)


def _runs_on(model: str, device: Device) -> bool:
    """Say whether a model is for a kind of device: the classical baselines are for the CPU."""
    return device.word == "cpu" or not is_baseline(model)


def make_plan(asked: RunOptions) -> Plan:
    """Find what the options of a run name, and put its seeds in order.

    Raises:
        InputError: An unknown model, device or recipe, or options that exclude each other.

    """
    for model in asked.models:
        require_model(model, asked.limit_minutes)
    devices = select_devices(asked.devices)
    others = [device.word for device in devices if not device.word.startswith("cuda")]
    if asked.precision == "tf32" and others:
        raise InputError(
            f"precision 'tf32' cannot be used on {', '.join(others)}",
            expected="fp32 or bf16 there, since only NVIDIA's devices compute in tf32",
            remedy="change --precision, or name cuda devices only with --devices",
        )
    if asked.budgets and asked.until_decided is not None:
        raise InputError(
            "--budgets cannot be combined with --until-decided",
            expected="one of the two, as there is a verdict at every budget",
            remedy="give --budgets with a number of seeds: --seeds 3",
        )
    looks = _plan_looks(len(asked.seeds), asked.until_decided) if asked.until_decided is not None else ()
    if looks and len(asked.models) == 1:
        raise InputError(
            f"--until-decided cannot be used with {asked.models[0]} alone",
            expected="two models or more",
            remedy="name two in --models",
        )
    more = (seed for seed in count() if seed not in asked.seeds)
    return Plan(
        recipe=load_recipe(asked.recipe, [model for model in asked.models if not is_baseline(model)]),
        models=asked.models,
        dataset=asked.dataset,
        reading=asked.reading,
        devices=devices,
        seeds=(*asked.seeds, *islice(more, max(0, max(looks, default=0) - len(asked.seeds)))),
        looks=looks,
        execution=asked.execution,
        precision=asked.precision,
        thresholds=asked.thresholds,
        limit_minutes=asked.limit_minutes,
        self_check=asked.self_check,
        fresh=asked.fresh,
        formats=asked.formats,
    )


def _plan_looks(first: int, most: int) -> tuple[int, ...]:
    """Return the numbers of seeds of the interim analyses: ``first`` (3 at least), each half as many more, ``most``."""
    looks = [max(first, FIRST_LOOK)]
    if most < looks[0]:
        raise InputError(
            f"--until-decided {most} is too small",
            expected=f"{looks[0]} to {MOST_SEEDS:,} seeds",
            remedy="give --until-decided such a number",
        )
    while looks[-1] < most:
        looks.append(min(math.ceil(NEXT_LOOK * looks[-1]), most))
    if looks[:-2] and looks[-1] < NEXT_LOOK * looks[-2]:
        del looks[-2]  # so near the last that it would only use up its share of the 5 %
    return tuple(looks)


def require_same_looks(plan: Plan, kept: Sequence[TrainingRecord]) -> None:
    """Refuse to spend the 5 % of error a second time: a run until decided is not prolonged beyond its last look."""
    for record in kept if plan.looks and not plan.fresh else ():
        if record.looks not in {(), plan.looks}:
            raise InputError(
                f"training of {record.model} with seed {record.seed} is of an earlier run until decided, with at most "
                f"{record.looks[-1]} seeds",
                expected=f"--until-decided {record.looks[-1]} and --seeds as then: its looks were planned for those",
                remedy="give those, or begin in another folder with --out",
            )
