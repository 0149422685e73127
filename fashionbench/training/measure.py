"""From a case to its record: prepare, train, score. A case that fails becomes a record too."""

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fashionbench.data.dataset import Dataset, Split, count_images, draw_split
from fashionbench.devices.precision import single_precision
from fashionbench.devices.runtime import peak_device_bytes, peak_host_bytes, reset_peaks, synchronize
from fashionbench.errors import CaseFailedError, visible
from fashionbench.execution.step import warm_up
from fashionbench.models.baselines import Baseline
from fashionbench.models.description import describe
from fashionbench.models.registry import find_builder
from fashionbench.records.fields import Packed
from fashionbench.records.record import DataInfo, ModelInfo, SelfCheck, TrainingRecord, TrainingResult
from fashionbench.training.case import Case
from fashionbench.training.identity import Provenance, record_fields, require_same_model
from fashionbench.training.loop import Curves, Supervision, train
from fashionbench.training.scoring import pick_mistakes, predict, score

__all__ = ["compare_repeats", "measure_training", "record_absence", "record_failure"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trained:
    model: nn.Module
    info: ModelInfo
    curves: Curves
    build_seconds: float
    warmup_seconds: float


def measure_training(case: Case, dataset: Dataset, provenance: Provenance, supervision: Supervision) -> TrainingRecord:
    """Measure one case and return its record, of status ``failed`` where the loss or the model's source gave way.

    Args:
        case: What to measure.
        dataset: All images; the split is drawn by the case's seed.
        provenance: What the leading process knew of the case before; the record takes it as it is.
        supervision: The clock, those who watch, and the checkpoints.

    Raises:
        InputError: The recipe asks for more images than there are, or the model is unknown.
        Exception: What the model or its device raises.
        Stopped: The checkpoints were asked to stop; the state is saved.

    """
    try:
        with single_precision(case.torch_device, case.precision):
            gc.collect()
            reset_peaks(case.torch_device)
            find_builder(case.model)  # imports the model's source, which is then compared with what the run began with
            require_same_model(case.model, provenance.model_sha256)
            split = draw_split(dataset, case.recipe, case.seed)
            trained = _prepare_and_train(case, dataset, split, supervision)
            return _finish(case, dataset, provenance, split, trained)
    except CaseFailedError as error:
        return record_failure(case, dataset, provenance, str(error))


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


def record_failure(case: Case, dataset: Dataset, provenance: Provenance, reason: str) -> TrainingRecord:
    """Return the record of a case that gave no result."""
    return _record(case, dataset, provenance, {"status": "failed", "reason": visible(reason)})


def record_absence(case: Case, dataset: Dataset, provenance: Provenance) -> TrainingRecord:
    """Return the record of a case that cannot be trained, as its device is not there."""
    return _record(case, dataset, provenance, {"status": "absent", "reason": case.absence})


def _prepare_and_train(case: Case, dataset: Dataset, split: Split, supervision: Supervision) -> _Trained:
    started = time.perf_counter()
    model = case.build(dataset.task)
    if isinstance(model, Baseline):
        built = time.perf_counter()
        curves = _fit(case, model, split, supervision)
        info = describe(case.model, dataset.task, model)
        return _Trained(model=model, info=info, curves=curves, build_seconds=built - started, warmup_seconds=0.0)
    step = case.prepare(model, dataset.task)
    synchronize(step.device)
    built = time.perf_counter()
    # another network and no copy, as a copy's functions may refer to the original
    thrown_away = case.prepare(case.build(dataset.task), dataset.task)
    warm_up(thrown_away, dataset.task, case.hyperparameters.batch_size)
    del thrown_away
    warmup_seconds = time.perf_counter() - built
    build = partial(case.build, dataset.task)
    info = describe(case.model, dataset.task, model, build)  # before the training: where it fails, nothing is lost
    curves = train(case, step, split, supervision)
    return _Trained(
        model=step.model,
        info=info,
        curves=curves,
        build_seconds=built - started,
        warmup_seconds=warmup_seconds + curves.recording_seconds,
    )


def _fit(case: Case, model: Baseline, split: Split, supervision: Supervision) -> Curves:
    """Fit a classical baseline in one go: one epoch of no steps."""
    clock = supervision.clock
    base, stood_still = clock(), clock.standstill_seconds
    with clock.running():
        model.fit(split.train_images, split.train_labels, case.seed)
    seconds, others, before = clock() - base, supervision.load.share(), time.perf_counter()
    predictions = predict(model, split.validation_images, split.validation_labels, case.precision)
    return Curves(
        step_losses=torch.empty(0),
        epoch_seconds=(seconds,),
        validation_losses=(predictions.loss,),
        validation_accuracies=(predictions.accuracy,),
        validation_seconds=time.perf_counter() - before,
        paused_seconds=clock.standstill_seconds - stood_still,
        others_cpu_share=(others,),
    )


def _finish(case: Case, dataset: Dataset, provenance: Provenance, split: Split, trained: _Trained) -> TrainingRecord:
    started = time.perf_counter()
    predictions = predict(trained.model, split.test_images, split.test_labels, case.precision)
    test_seconds = time.perf_counter() - started
    curves = trained.curves
    result = TrainingResult(
        train_seconds=sum(curves.epoch_seconds),
        epoch_seconds=curves.epoch_seconds,
        build_seconds=trained.build_seconds,
        warmup_seconds=trained.warmup_seconds,
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
        peak_device_bytes=peak_device_bytes(case.torch_device),
        resumed=curves.resumed,
        paused_seconds=curves.paused_seconds,
        others_cpu_share=curves.others_cpu_share,
    )
    return _record(case, dataset, provenance, {"status": "finished", "result": result, "model_info": trained.info})


def _record(case: Case, dataset: Dataset, provenance: Provenance, outcome: Mapping[str, Any]) -> TrainingRecord:
    """Return a record, whole: the case, its provenance, and the fields of its outcome."""
    train_images, validation_images, test_images = count_images(dataset, case.recipe)
    fields = {
        **record_fields(case, provenance),
        "seed": case.seed,
        "looks": provenance.looks,
        "recipe": case.recipe,
        "trial": case.trial,
        "data": DataInfo(
            name=visible(dataset.name),
            release=dataset.release,
            source=visible(dataset.source),
            digests=dict(dataset.digests),
            classes=dataset.classes,
            train_images=train_images,
            validation_images=validation_images,
            test_images=test_images,
            read_seconds=dataset.read_seconds,
        ),
    }
    return TrainingRecord.model_validate({**fields, **outcome})


def _pack_classes(classes: Tensor) -> Packed:
    return Packed.of(classes.numpy(), "u1")
