"""What must be right before an hour of training, and how long the training will take."""

import time
from collections.abc import Callable
from typing import Final

import torch

from fashionbench.data.dataset import Dataset
from fashionbench.devices.load import LEAST_SECONDS, CpuLoad
from fashionbench.errors import InputError, describe_error
from fashionbench.execution.fast import try_rewriting
from fashionbench.execution.step import time_steps
from fashionbench.models.baselines import Baseline, evenly_spaced
from fashionbench.models.registry import build_model
from fashionbench.training.case import Case

__all__ = ["check_fit", "estimate_seconds", "tell_load"]

SECONDS_PER_ESTIMATE: Final = 1.0

BASELINE_IMAGES: Final = 1_000

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
            f"The machine is busy: other processes use {share:.0%} of the CPUs. Training times will be too long, and "
            "the slowdown is not reliable. Close other programs first"
        )


def estimate_seconds(case: Case, dataset: Dataset) -> float:
    """Return about how many seconds a case will train, from a second of throw-away steps on its device.

    Raises:
        RuntimeError: The model does not run on this device with these images (torch's own words).

    """
    train_images = (case.recipe.train_images or len(dataset.train_images)) * (1 - case.recipe.validation_fraction)
    model = build_model(case.model, dataset.task, seed=case.seed)
    if isinstance(model, Baseline):
        few = evenly_spaced(BASELINE_IMAGES, len(dataset.train_images))
        started = time.perf_counter()
        model.fit(dataset.train_images[few], dataset.train_labels[few], case.seed)
        return (time.perf_counter() - started) / len(few) * train_images
    images, labels = (each[: 64 * case.batch_size] for each in (dataset.train_images, dataset.train_labels))
    step = case.prepare(model, dataset.task)
    seconds = time_steps(step, images, labels, batch_size=case.batch_size, seconds=SECONDS_PER_ESTIMATE)
    return seconds * train_images / min(case.batch_size, len(images)) * case.epochs


def check_fit(case: Case, dataset: Dataset) -> str:
    """Require that a model maps the data's images to one logit per class.

    Returns:
        One line on how the fast execution treats it otherwise than usual; empty where it does not.

    Raises:
        InputError: It does not; its own error is in the message.

    """
    shape, classes = dataset.task.shape, dataset.task.classes
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    size = " x ".join(map(str, shape))
    wanted = f"a network that takes images (N, {size}) to logits (N, {classes})"
    try:
        model = build_model(case.model, dataset.task, 0)
        if isinstance(model, Baseline):
            return ""
        found = model.train()(images)
    except Exception as error:
        raise InputError(
            f"model {case.model!r} fails on images of {size} ({describe_error(error)})",
            expected=wanted,
            remedy="correct the model, or choose another with --models",
        ) from error
    if not isinstance(found, torch.Tensor) or found.shape != (2, classes):
        what = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise InputError(
            f"model {case.model!r} gives {what} for 2 images of {size}",
            expected=wanted,
            remedy="correct the model, or choose another with --models",
        )
    if case.execution == "plain":
        return ""
    model = build_model(case.model, dataset.task, seed=case.seed)
    _, reason = try_rewriting(model, dataset.task.shape)
    remark = f"{case.model}: its layers stay as they are, as rewritten ones would train otherwise ({reason})"
    return remark if reason else ""
