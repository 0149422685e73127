"""From a case to its record: prepare, train, score. A case that fails becomes a record too."""

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import torch
from torch import Tensor, nn

from fashionbench.data.dataset import Dataset, Split, draw_split
from fashionbench.devices.environment import describe_environment
from fashionbench.devices.runtime import peak_device_bytes, peak_host_bytes, reset_peaks, synchronize
from fashionbench.errors import CaseFailedError, InputError
from fashionbench.execution.fast import keep_memory
from fashionbench.execution.step import warm_up
from fashionbench.models.baselines import Baseline
from fashionbench.models.description import describe
from fashionbench.records.fields import Packed
from fashionbench.records.record import (
    DataInfo,
    Environment,
    ModelInfo,
    SelfCheck,
    Status,
    TrainingRecord,
    TrainingResult,
)
from fashionbench.training.case import Case, build_for
from fashionbench.training.checkpoint import Checkpoints
from fashionbench.training.clock import TrainingClock
from fashionbench.training.identity import identify
from fashionbench.training.loop import Curves, Tick, train
from fashionbench.training.scoring import pick_mistakes, predict, score

__all__ = ["compare_repeats", "measure_training", "now", "record_absence", "record_failure"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    model: nn.Module
    split: Split
    build_seconds: float
    warmup_seconds: float


def measure_training(  # noqa: PLR0913 - each named
    case: Case,
    dataset: Dataset,
    *,
    command: str,
    clock: TrainingClock,
    watch: Callable[[Tick], None],
    checkpoints: Checkpoints | None = None,
) -> TrainingRecord:
    """Measure one case and return its record, of status ``failed`` where the device or the loss gave way.

    Args:
        case: What to measure.
        dataset: All images; the split is drawn by the case's seed.
        command: What was typed, for the record.
        clock: Advances while the model trains.
        watch: Is told of the progress.
        checkpoints: Where the training goes on from and saves to.

    Raises:
        InputError: The recipe asks for more images than there are, or the model is unknown.
        Stopped: The checkpoints' ``stop`` told so; the state is saved.

    """
    try:
        gc.collect()
        reset_peaks(torch.device(case.device.word))
        prepared = _prepare(case, dataset)
        curves = _train(case, prepared, clock=clock, watch=watch, checkpoints=checkpoints)
        return _finish(case, dataset, prepared, curves, command)
    except InputError:
        raise
    except (CaseFailedError, MemoryError, RuntimeError) as error:
        # torch raises RuntimeError, or a kind of it, for whatever a device's kernels, driver or memory cannot do
        first_line = str(error).partition("\n")[0] or type(error).__name__
        return record_failure(case, dataset, first_line, command=command)


def compare_repeats(record: TrainingRecord, again: TrainingRecord) -> TrainingRecord:
    """Return a finished record with what differs when its case is trained once more."""
    if record.result is None or again.result is None:
        return record
    differing = {
        name: int((one.array() != other.array()).sum())
        for name, one, other in (
            ("differing_losses", record.result.step_losses, again.result.step_losses),
            ("differing_predictions", record.result.test_predictions, again.result.test_predictions),
        )
    }
    check = SelfCheck(train_seconds=again.result.train_seconds, **differing)
    return record.model_copy(update={"result": record.result.model_copy(update={"self_check": check})})


def record_failure(
    case: Case, dataset: Dataset, reason: str, *, command: str, environment: Environment | None = None
) -> TrainingRecord:
    """Return the record of a case that gave no result; ``environment`` is that of another machine where it failed."""
    return _unfinished(case, dataset, command, "failed", reason, environment)


def record_absence(case: Case, dataset: Dataset, *, command: str) -> TrainingRecord:
    """Return the record of a case whose device is not there."""
    return _unfinished(case, dataset, command, "absent", case.device.absence)


def _prepare(case: Case, dataset: Dataset) -> Prepared:
    split = draw_split(dataset, case.recipe, case.seed)
    device = torch.device(case.device.word)
    if case.execution == "fast":
        keep_memory()
    started = time.perf_counter()
    model = build_for(case, dataset).to(device)
    synchronize(device)
    built = time.perf_counter()
    if not isinstance(model, Baseline):
        throw_away = build_for(case, dataset).to(device)
        batch_size = case.recipe.batch_size_for(case.model)
        warm_up(throw_away, dataset.task.shape, batch_size, len(dataset.classes), case.execution, case.precision)
    return Prepared(model=model, split=split, build_seconds=built - started, warmup_seconds=time.perf_counter() - built)


def _train(
    case: Case,
    prepared: Prepared,
    *,
    clock: TrainingClock,
    watch: Callable[[Tick], None],
    checkpoints: Checkpoints | None,
) -> Curves:
    split, model = prepared.split, prepared.model

    def validate() -> tuple[float, float]:
        predictions = predict(model, split.validation_images, split.validation_labels, case.precision)
        return predictions.loss, predictions.accuracy

    if isinstance(model, Baseline):
        return _fit(case, model, split, clock, validate)
    return train(
        model,
        split.train_images,
        split.train_labels,
        case.recipe,
        epochs=case.recipe.epochs_for(case.model),
        batch_size=case.recipe.batch_size_for(case.model),
        seed=case.seed,
        execution=case.execution,
        precision=case.precision,
        clock=clock,
        validate=validate,
        watch=watch,
        checkpoints=checkpoints,
    )


def _fit(
    case: Case, model: Baseline, split: Split, clock: TrainingClock, validate: Callable[[], tuple[float, float]]
) -> Curves:
    """Fit a classical baseline in one go: one epoch of no steps."""
    base = clock()
    with clock.running():
        model.fit(split.train_images, split.train_labels, case.seed)
    seconds, before = clock() - base, time.perf_counter()
    loss, accuracy = validate()
    return Curves(
        step_losses=torch.empty(0),
        epoch_seconds=(seconds,),
        validation_losses=(loss,),
        validation_accuracies=(accuracy,),
        validation_seconds=time.perf_counter() - before,
    )


def _finish(case: Case, dataset: Dataset, prepared: Prepared, curves: Curves, command: str) -> TrainingRecord:
    split = prepared.split
    started = time.perf_counter()
    predictions = predict(prepared.model, split.test_images, split.test_labels, case.precision)
    test_seconds = time.perf_counter() - started
    result = TrainingResult(
        train_seconds=sum(curves.epoch_seconds),
        epoch_seconds=curves.epoch_seconds,
        build_seconds=prepared.build_seconds,
        warmup_seconds=prepared.warmup_seconds,
        validation_seconds=curves.validation_seconds,
        test_seconds=test_seconds,
        step_losses=Packed.of(curves.step_losses.numpy(), "<f4"),
        validation_losses=curves.validation_losses,
        validation_accuracies=curves.validation_accuracies,
        scores=score(predictions, split.test_labels, dataset.classes),
        test_labels=_pack_classes(split.test_labels),
        test_predictions=_pack_classes(predictions.classes),
        test_confidences=Packed.of((predictions.confidences * 65_535).round().numpy(), "<u2"),
        mistakes=pick_mistakes(predictions, split.test_images, split.test_labels),
        peak_host_bytes=peak_host_bytes(),
        peak_device_bytes=peak_device_bytes(torch.device(case.device.word)),
        resumed=curves.resumed,
    )
    info = describe(case.model, dataset.task, prepared.model)
    return _record(case, dataset, command, status="finished", reason="", result=result, info=info)


def _unfinished(  # noqa: PLR0913, PLR0917 - as a record has them
    case: Case, dataset: Dataset, command: str, status: Status, reason: str, environment: Environment | None = None
) -> TrainingRecord:
    return _record(
        case, dataset, command, status=status, reason=reason, result=None, info=None, environment=environment
    )


def _record(  # noqa: PLR0913 - the parts that differ between finished and not
    case: Case,
    dataset: Dataset,
    command: str,
    *,
    status: Status,
    reason: str,
    result: TrainingResult | None,
    info: ModelInfo | None,
    environment: Environment | None = None,
) -> TrainingRecord:
    train_images = case.recipe.train_images or len(dataset.train_images)
    validation_images = math.ceil(train_images * case.recipe.validation_fraction)  # as scikit-learn rounds
    return TrainingRecord(
        model=case.model,
        device=case.device.word,
        device_name=case.device.name,
        execution=case.execution,
        precision=case.precision,
        status=status,
        reason=reason,
        measured_at=now(),
        environment=environment or describe_environment(case.device, command),
        model_info=info,
        identity=identify(case, dataset),
        seed=case.seed,
        recipe=case.recipe,
        data=DataInfo(
            name=dataset.name,
            release=dataset.release,
            source=dataset.source,
            digests=dict(dataset.digests),
            classes=dataset.classes,
            train_images=train_images - validation_images,
            validation_images=validation_images,
            test_images=case.recipe.test_images or len(dataset.test_images),
            read_seconds=dataset.read_seconds,
        ),
        result=result,
    )


def _pack_classes(classes: Tensor) -> Packed:
    return Packed.of(classes.numpy(), "u1")


def now() -> str:
    """Return the time, UTC, ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
