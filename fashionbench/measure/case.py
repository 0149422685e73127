"""From a case to its record: prepare, train, score. A case that fails becomes a record too."""

import gc
import math
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import torch
from torch import Tensor, nn

from fashionbench.errors import CaseFailedError, InputError
from fashionbench.measure.baselines import Baseline, spread
from fashionbench.measure.checkpoint import Checkpoints
from fashionbench.measure.data import Dataset, Split, split_dataset
from fashionbench.measure.devices import Device, peak_device_bytes, peak_host_bytes, reset_peaks, synchronize
from fashionbench.measure.environment import describe_environment
from fashionbench.measure.execution import arithmetic, describe_model, keep_memory, speed_up, speed_up_inference
from fashionbench.measure.identity import identify
from fashionbench.measure.models import Shape, build_model
from fashionbench.measure.scoring import pick_mistakes, predict, score
from fashionbench.measure.training import (
    Curves,
    Tick,
    TrainingClock,
    scale_pixels,
    train,
    warm_up,
)
from fashionbench.recipe import Recipe
from fashionbench.record import (
    DataInfo,
    Execution,
    InferenceRecord,
    InferenceResult,
    ModelInfo,
    Packed,
    Precision,
    SelfCheck,
    Status,
    TrainingRecord,
    TrainingResult,
)

__all__ = [
    "BATCH_SIZES",
    "Case",
    "build_for",
    "compare_repeats",
    "draw_split",
    "image_shape",
    "measure_inference",
    "measure_training",
    "record_absence",
    "record_failure",
    "time_rounds",
]

BATCH_SIZES: Final = (1, 256)
"""Inference is timed for latency at the first and for throughput at the second."""

SECONDS_PER_INFERENCE: Final = 1.0
FEWEST_ROUNDS: Final = 10
MOST_ROUNDS: Final = 10_000
BASELINE_IMAGES: Final = 6_000


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    model: nn.Module
    split: Split
    build_seconds: float
    warmup_seconds: float


def build_for(case: Case, dataset: Dataset) -> nn.Module:
    """Build a case's model on the CPU, with weights from its seed, as its execution wants it."""
    model = _build_plain(case.model, dataset, case.seed)
    rewritten = case.execution == "fast" and not isinstance(model, Baseline)
    return speed_up(model, image_shape(dataset)) if rewritten else model


def draw_split(dataset: Dataset, recipe: Recipe, seed: int) -> Split:
    """Draw the images that a recipe asks for.

    Raises:
        InputError: It asks for more than there are, or for too few to hold each class.

    """
    return split_dataset(
        dataset,
        validation_fraction=recipe.validation_fraction,
        seed=seed,
        train_images=recipe.train_images,
        test_images=recipe.test_images,
    )


def image_shape(dataset: Dataset) -> Shape:
    """Return channels, height and width."""
    _, channels, height, width = dataset.train_images.shape
    return channels, height, width


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


def record_failure(case: Case, dataset: Dataset, reason: str, *, command: str) -> TrainingRecord:
    """Return the record of a case that gave no result."""
    return _unfinished(case, dataset, command, "failed", reason)


def record_absence(case: Case, dataset: Dataset, *, command: str) -> TrainingRecord:
    """Return the record of a case whose device is not there."""
    return _unfinished(case, dataset, command, "absent", case.device.absence)


def time_rounds(forward: Callable[[], None]) -> tuple[float, ...]:
    """Call ``forward`` for about a second, after a few calls to warm up, and return each call's seconds."""
    slowest = max(timeit.repeat(forward, number=1, repeat=FEWEST_ROUNDS))
    rounds = min(max(FEWEST_ROUNDS, int(SECONDS_PER_INFERENCE / slowest)), MOST_ROUNDS)
    return tuple(timeit.repeat(forward, number=1, repeat=rounds))


def measure_inference(  # noqa: PLR0913 - each named
    model_name: str,
    device: Device,
    dataset: Dataset,
    *,
    batch_size: int,
    command: str,
    execution: Execution = "fast",
    precision: Precision = "fp32",
    timed: Callable[[Callable[[], None]], tuple[float, ...]] = time_rounds,
) -> InferenceRecord:
    """Time the forward pass over one batch of test images, uint8 on the device to logits, with untrained weights.

    A classical baseline is fitted to 6,000 training images before.

    Args:
        model_name: A model of the registry.
        device: Where.
        dataset: Gives the images.
        batch_size: Images a batch; the images repeat where there are fewer.
        command: What was typed, for the record.
        execution: Rewritten for speed, or as it is defined.
        precision: The arithmetic.
        timed: Calls its argument as often as it likes and returns the seconds of each round.

    """
    target = torch.device(device.word)
    model = _build_plain(model_name, dataset, 0).eval()
    if isinstance(model, Baseline):
        few = spread(BASELINE_IMAGES, len(dataset.train_images))
        model.fit(dataset.train_images[few], dataset.train_labels[few], 0)
    elif execution == "fast":
        keep_memory()
        model = speed_up_inference(model, image_shape(dataset))
    model.to(target)
    images = dataset.test_images[torch.arange(batch_size) % len(dataset.test_images)].to(target)

    @torch.inference_mode()
    def run() -> None:
        with arithmetic(target, precision):
            model(scale_pixels(images))
        synchronize(target)

    status: Status = "finished"
    try:
        run()
        result, reason = InferenceResult(seconds=timed(run)), ""
    except (MemoryError, RuntimeError) as error:
        result, status, reason = None, "failed", str(error).partition("\n")[0]
    return InferenceRecord(
        model=model_name,
        device=device.word,
        device_name=device.name,
        execution=execution,
        precision=precision,
        status=status,
        reason=reason,
        measured_at=_now(),
        environment=describe_environment(device, command),
        model_info=_describe(model_name, dataset, model),
        batch_size=batch_size,
        result=result,
    )


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
        warm_up(throw_away, image_shape(dataset), batch_size, len(dataset.classes), case.execution, case.precision)
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
    info = _describe(case.model, dataset, prepared.model)
    return _record(case, dataset, command, status="finished", reason="", result=result, info=info)


def _unfinished(case: Case, dataset: Dataset, command: str, status: Status, reason: str) -> TrainingRecord:
    return _record(case, dataset, command, status=status, reason=reason, result=None, info=None)


def _record(  # noqa: PLR0913 - the parts that differ between finished and not
    case: Case,
    dataset: Dataset,
    command: str,
    *,
    status: Status,
    reason: str,
    result: TrainingResult | None,
    info: ModelInfo | None,
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
        measured_at=_now(),
        environment=describe_environment(case.device, command),
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


def _build_plain(name: str, dataset: Dataset, seed: int) -> nn.Module:
    return build_model(name, shape=image_shape(dataset), classes=len(dataset.classes), seed=seed)


def _describe(name: str, dataset: Dataset, model: nn.Module) -> ModelInfo:
    if isinstance(model, Baseline):
        size = model.size
        return ModelInfo(parameters=size, reachable_parameters=size, forward_flops=0, training_flops=0, layers=0)
    return describe_model(lambda: _build_plain(name, dataset, 0), image_shape(dataset))


def _pack_classes(classes: Tensor) -> Packed:
    return Packed.of(classes.numpy(), "u1")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
