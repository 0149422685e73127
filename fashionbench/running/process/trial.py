"""The trial on an accelerator that chooses how fast steps are computed; each way is tried in a process of its own."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device, name_devices
from fashionbench.devices.precision import single_precision
from fashionbench.errors import SetupError, visible
from fashionbench.execution.comparison import STEPS_COMPARED, step_methods, time_method
from fashionbench.execution.step import TrainingStep
from fashionbench.models.inspection import find_unsaved_state
from fashionbench.opening import read_regular
from fashionbench.records.files import write_output
from fashionbench.records.record import StepMethod, Trial
from fashionbench.running.process.call import CallFailedError
from fashionbench.training.case import Case
from fashionbench.training.identity import identify_trial
from fashionbench.training.ingredients.schedule import make_schedule

__all__ = ["choose_methods", "try_methods"]

EPOCHS_TRIED: Final = 4
"""Of the shortened schedule with which steps are tried."""

MOST_BYTES: Final = 2**20
"""Of a file that keeps a choice."""


def choose_methods(  # noqa: PLR0913 - what a run has, by keyword where it could be mixed up
    cases: Iterable[Case],
    dataset: Dataset,
    folder: Path,
    call: Callable[..., Any],
    say: Callable[[str], None],
    *,
    fresh: bool,
    keep: bool = True,
) -> dict[tuple[str, Device, str], Trial]:
    """Choose how the steps of cases are computed, once for those that differ by their seed and rates only.

    The choices are kept in files, so that a run that is resumed, or that adds seeds, goes on in the same way. A case
    has none on the CPU, where it is plain, and where no way to compute its steps works.

    Args:
        cases: What will be trained.
        dataset: Its training images are used.
        folder: Where the choices are kept.
        call: Calls a function in a process of its own where a device is, given the device, the function, its arguments.
        say: Shows a line before each trial, which takes some twenty seconds, and one with its choice.
        fresh: Whether to try again what was chosen before, but for what the cases have already.
        keep: Whether to write the choices; the caller has locked the folder.

    Returns:
        What was chosen, by model, device and the recipe's name.

    Raises:
        SetupError: A choice cannot be written.

    """
    known, chosen = dict[Path, Trial | None](), dict[tuple[str, Device, str], Trial]()
    cases = tuple(cases)
    names = name_devices({case.device for case in cases})
    for case in cases:
        if case.execution == "plain" or case.device.word == "cpu" or case.device.absence:
            continue
        path = folder / f"{identify_trial(case, dataset)}.json"
        if path not in known:
            what = f"of {case.model} on {names[case.device]}, batch {case.hyperparameters.batch_size}"
            trial = case.trial or (None if fresh else _read_trial(path))
            if trial is None:
                say(f"Trying how steps {what}, are computed fastest")
                trial = try_methods(case, dataset, call)
            if trial is not None and keep:
                write_output(path, trial.model_dump_json().encode())
            if trial is not None and case.trial is None:
                say(f"Steps {what}: {trial.described()}")
            known[path] = trial
        trial = known[path]
        if trial is not None:
            chosen[case.model, case.device, case.recipe.name] = trial
    return chosen


def _read_trial(path: Path) -> Trial | None:
    """Return what an earlier run chose; None where it chose nothing, or its file is damaged."""
    try:
        return Trial.model_validate_json(read_regular(path, MOST_BYTES))
    except (OSError, ValueError):
        return None


def try_methods(case: Case, dataset: Dataset, call: Callable[..., Any]) -> Trial | None:
    """Try each way to compute a case's steps; None where no way works.

    Each has a process of its own: one that fails may leave the device unusable for a process.
    """
    seconds, rejected = dict[StepMethod, float](), dict[str, str]()
    for method in step_methods(case.torch_device):
        try:
            found: float | str = call(case.device, _try_method, case, dataset, method)
        except (CallFailedError, SetupError) as error:
            found = str(error).partition("\n")[0]
        if isinstance(found, str):
            rejected[method] = visible(found)
        else:
            seconds[method] = found
    if not seconds:
        return None
    return Trial(chosen=min(seconds, key=seconds.__getitem__), step_seconds=seconds, rejected=rejected)


def _try_method(case: Case, dataset: Dataset, method: StepMethod) -> float | str:
    """Return the mean seconds of a case's steps by a method, or why it cannot be used."""
    unsaved = find_unsaved_state(case.build(dataset.task), dataset.task)
    if unsaved and method.startswith("captured"):
        return f"{unsaved[0]} changes in each step, and would stay as it was when the step was recorded"
    how = case.hyperparameters
    short = how.model_copy(update={"epochs": EPOCHS_TRIED, "step_epochs": EPOCHS_TRIED // 2})

    def prepare(method: StepMethod) -> TrainingStep:
        trial = Trial(chosen=method, step_seconds={method: 0.0}, rejected={})
        return replace(case, trial=trial).prepare(case.build(dataset.task), dataset.task)

    def schedule(optimizer: Optimizer) -> LRScheduler:
        return make_schedule(optimizer, short, STEPS_COMPARED // EPOCHS_TRIED)

    with single_precision(case.torch_device, case.precision):
        return time_method(prepare, schedule, dataset, method=method, batch_size=how.batch_size)
