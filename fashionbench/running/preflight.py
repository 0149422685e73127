"""What must be right before an hour of training, and how long the training will take."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from torch import Tensor

from fashionbench import units
from fashionbench.data.dataset import Dataset, Task, count_images, draw_split, hide_test_images
from fashionbench.data.fashion_mnist import cache_folder
from fashionbench.data.load import load_dataset
from fashionbench.devices.device import Device
from fashionbench.devices.load import LEAST_SECONDS, CpuLoad
from fashionbench.devices.precision import single_precision
from fashionbench.errors import InputError, describe_error
from fashionbench.execution.fast import find_objection
from fashionbench.execution.step import time_steps
from fashionbench.models.baselines import Baseline, evenly_spaced
from fashionbench.models.inspection import count_trained, find_unsaved_state, gives_probabilities, random_images
from fashionbench.models.registry import build_model, describe_building, find_builder
from fashionbench.running.cluster import Cluster
from fashionbench.running.plan import Plan
from fashionbench.running.process.call import CallFailedError, call_within, seconds_to_answer
from fashionbench.training.case import Case
from fashionbench.training.ingredients.augmentation import augment_batches, draw

__all__ = [
    "call_where",
    "check_fit",
    "check_in_process",
    "decide_rewriting",
    "decide_self_check",
    "estimate_seconds",
    "load_images",
    "tell_load",
]

P = ParamSpec("P")
T = TypeVar("T")

BASELINE_IMAGES: Final = 1_000

MODES: Final = ("training", "evaluation")

CHEAP_SHARE: Final = 0.1
"""Of a run's time: for less, every run trains twice what shows how much of a difference is noise."""

BUSY_SHARE: Final = 0.1
"""Others' fraction of the CPUs that is worth a line before the start; it was observed for a moment only."""


def tell_load(load: CpuLoad | None, say: Callable[[str], None]) -> None:
    """Say it in one line if other processes keep the CPUs busy; None: the trainings do not run on this machine."""
    share = None if load is None else load.share()
    if load is not None and share is None:
        time.sleep(LEAST_SECONDS)
        share = load.share()
    if share is not None and share > BUSY_SHARE:
        say(
            f"The machine is busy: other processes use {units.percent(share, 0)} of the CPUs. Training times will "
            "be too long and not reliable. Close other programs first"
        )


def load_images(plan: Plan, data: Path | None, environ: Mapping[str, str], say: Callable[[str], None]) -> Dataset:
    """Load a plan's images, and refuse a recipe that asks for more than there are."""
    dataset = load_dataset(
        plan.dataset,
        data,
        environ=environ,
        cache=cache_folder(),
        announce=say,
        allow_sample=not plan.recipe.is_result,
        reading=plan.reading,
    )
    if plan.scored_on == "validation":
        return hide_test_images(dataset, plan.recipe, plan.seeds[0])
    draw_split(dataset, plan.recipe, plan.seeds[0])
    return dataset


def estimate_seconds(case: Case, dataset: Dataset) -> float:
    """Return about how many seconds a case will train, from throw-away steps on its device.

    Raises:
        RuntimeError: The model does not run on this device with these images (torch's own words).

    """
    train_images, _, _ = count_images(dataset, case.recipe)
    model = case.build(dataset.task)
    if isinstance(model, Baseline):
        few = evenly_spaced(BASELINE_IMAGES, len(dataset.train_images))
        started = time.perf_counter()
        model.fit(dataset.train_images[few], dataset.train_labels[few], case.seed)
        return (time.perf_counter() - started) / len(few) * train_images
    how = case.hyperparameters
    images, labels = (each[: 64 * how.batch_size] for each in (dataset.train_images, dataset.train_labels))
    step = case.prepare(model, dataset.task)

    def augmented(batches: Iterator[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        place = images.device if case.execution == "plain" else step.device
        return augment_batches(batches, draw(how.augment, images, seed=case.seed, epoch=0, device=place), 0)

    with single_precision(case.torch_device, case.precision):
        seconds = time_steps(
            step,
            images,
            labels,
            batch_size=how.batch_size,
            seconds=case.recipe.seconds_per_timing,
            change=augmented,
        )
    return seconds * train_images / min(how.batch_size, len(images)) * how.epochs


def check_fit(case: Case, dataset: Dataset) -> tuple[str, ...]:
    """Require that a model maps the data's images to one logit per class, and that it has weights to train.

    Returns:
        One line on each of its peculiarities, for the user to judge; usually none.

    Raises:
        InputError: It does not; its own error is in the message.

    """
    task = dataset.task
    size = " x ".join(map(str, task.shape))
    wanted = f"a network that takes images (N, {size}) to logits (N, {task.classes}), in training and in evaluation"
    try:
        model = case.build(task)
        if isinstance(model, Baseline):
            return ()
        found = {name: model.train(mode=name == "training")(random_images(task, 2)) for name in MODES}
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"model {case.model!r} fails on images of {size} ({describe_error(error)})",
            expected=wanted,
            remedy="correct the model, choose another with --models, or another size of your images with --image-size",
        ) from error
    for mode, logits in found.items():
        if not isinstance(logits, Tensor) or logits.shape != (2, task.classes) or not logits.is_floating_point():
            what = f"{tuple(logits.shape)}, {logits.dtype}" if isinstance(logits, Tensor) else type(logits).__name__
            raise InputError(
                f"model {case.model!r} gives {what} for 2 images of {size} in {mode}",
                expected=wanted,
                remedy="correct the model, or choose another with --models"
                if isinstance(logits, Tensor)
                else "return the logits alone, without auxiliary outputs",
            )
    if not count_trained(model):
        raise InputError(
            f"all weights of model {case.model!r} are frozen",
            expected="at least one parameter with requires_grad",
            remedy="correct the model, or choose another with --models",
        )
    try:
        return tuple(f"{case.model}: {each}" for each in _peculiarities(case, task))
    except Exception:  # a model that fails on more images fails in its case, with its own words
        return ()


def _peculiarities(case: Case, task: Task) -> Iterator[str]:
    built = describe_building(case.model, task)
    if built:
        yield built
    if case.hyperparameters.freeze is not None:
        model = case.build(task)
        every = sum(parameter.numel() for parameter in model.parameters())
        yield f"{count_trained(model):,} of {every:,} parameters are trained, the others are frozen"
    if case.hyperparameters.freeze is not None and not built:
        yield "its frozen layers have random weights, as its name has no file of trained ones; add @FILE to it"
    if gives_probabilities(build_model(case.model, task, 0), task):
        yield (
            "its outputs are probabilities, as after a softmax or sigmoid, but the loss (cross-entropy) expects "
            "logits. It will train badly; remove the last softmax or sigmoid"
        )
    unsaved = find_unsaved_state(build_model(case.model, task, 0), task)
    if unsaved:
        yield (
            f"{unsaved[0]}{' and others' if unsaved[1:] else ''} changes in training and is not part of state_dict(); "
            "an interrupted training cannot be promised to resume to the same bits"
        )
    as_built = find_builder(case.model)(task.shape, task.classes).named_modules()
    evaluating = [name or "the whole model" for name, module in as_built if not module.training]
    if evaluating:
        yield f"its builder leaves {evaluating[0]} in evaluation mode; FashionBench trains all layers in training mode"


def call_where(
    cluster: Cluster | None,
    plan: Plan,
    device: Device,
    function: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Call a function where a device is, in a process of its own."""
    if cluster is None:
        return call_within(seconds_to_answer(plan.limit_minutes), function, *args, **kwargs)
    return cluster.call(device, function, *args, **kwargs)


def check_in_process(case: Case, dataset: Dataset, seconds: float) -> tuple[str, ...]:
    """Check a model as ``check_fit`` does, in a process of its own.

    Raises:
        InputError: The model does not fit, or ends the process.

    """
    try:
        return call_within(seconds, check_fit, case, dataset)
    except CallFailedError as error:
        raise InputError(
            f"model {case.model!r} cannot be tried ({error.reason})",
            expected="a model that takes the images",
            remedy="correct the model, or choose another with --models",
        ) from None


def decide_rewriting(plan: Plan, left: Iterable[Case], task: Task, say: Callable[[str], None]) -> Plan:
    """Decide, once for all trainings that are left, which models the fast execution rewrites.

    One that it leaves as it is is named in a line, and runs with its own layers.
    """
    decided = {}
    for case in {each.model: each for each in left if each.execution == "fast"}.values():
        try:
            objection = call_within(seconds_to_answer(plan.limit_minutes), _find_objection, case, task)
        except CallFailedError as error:
            objection = f"rewritten, {error.reason}"
        decided[case.model] = not objection
        if objection:
            say(f"{case.model}: its layers stay as they are, as rewritten ones might train otherwise ({objection})")
    return replace(plan, rewritten=decided)


def decide_self_check(
    plan: Plan, left: Sequence[Case], seconds: Mapping[tuple[str, Device], float], say: Callable[[str], None]
) -> Plan:
    """Decide whether the first case of each device is trained twice: if asked, or if that takes little of the run.

    Args:
        plan: What is measured.
        left: The cases that are still to be trained.
        seconds: How long a model is expected to train on a device, an epoch.
        say: Called with a line if it was not asked for.

    """
    if plan.self_check or plan.arms or not plan.recipe.is_result:
        return plan
    seeds = plan.seeds[: plan.looks[0]] if plan.looks else plan.seeds
    wanted = [each for each in left if each.seed in seeds and not each.absence]
    checked = replace(plan, self_check=True)
    repeated = [each for each in checked.cases() if checked.repeated(each) and not each.absence]
    extra, whole = (
        sum(seconds.get((each.model, each.device), 0.0) * each.hyperparameters.epochs for each in cases)
        for cases in (repeated, wanted)
    )
    if any(each not in wanted for each in repeated) or not 0 < extra < CHEAP_SHARE * whole:
        return plan
    say("Repeated: the first training of each device, which takes under a tenth of the run and shows what is noise")
    return checked


def _find_objection(case: Case, task: Task) -> str:
    model = case.build(task)
    return "" if isinstance(model, Baseline) else find_objection(model, task.shape)
