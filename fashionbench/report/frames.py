"""Records as pandas frames in long form: one constant per column name, one row per measurement, and mean curves."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from fashionbench.options.option import Score
from fashionbench.records.grouping import device_labels, machine
from fashionbench.records.record import InferenceRecord, TrainingRecord

__all__ = [
    "ACCURACY",
    "BUILD_SECONDS",
    "CLASS",
    "CONFIDENCE",
    "DEVICE",
    "EPOCH",
    "HIGH",
    "IMAGES",
    "ITERATION",
    "LABEL",
    "LOSS",
    "LOW",
    "MACRO_F1",
    "MAX_BINS",
    "METRIC",
    "METRICS",
    "MINUTES",
    "MODEL",
    "PEAK_DEVICE_BYTES",
    "PEAK_HOST_BYTES",
    "PREDICTED",
    "REASON",
    "SCORE",
    "SEED",
    "SIGNIFICANT",
    "STATUS",
    "TEST_SECONDS",
    "TRUE",
    "VALIDATION_SECONDS",
    "WARMUP_SECONDS",
    "class_scores",
    "confusions",
    "epochs",
    "mean_epochs",
    "runs",
    "step_losses",
]

MODEL: Final = "model"

DEVICE: Final = "device"

SEED: Final = "seed"

STATUS: Final = "status"

REASON: Final = "reason"

MINUTES: Final = "minutes"

ACCURACY: Final = "accuracy"

MACRO_F1: Final = "macro_f1"

BUILD_SECONDS: Final = "build_seconds"

WARMUP_SECONDS: Final = "warmup_seconds"

VALIDATION_SECONDS: Final = "validation_seconds"

TEST_SECONDS: Final = "test_seconds"

PEAK_HOST_BYTES: Final = "peak_host_bytes"

PEAK_DEVICE_BYTES: Final = "peak_device_bytes"

ITERATION: Final = "iteration"

LOSS: Final = "loss"

LOW: Final = "low"

HIGH: Final = "high"

SIGNIFICANT: Final = "significant"

LABEL: Final = "label"

CONFIDENCE: Final = "confidence"

EPOCH: Final = "epoch"

CLASS: Final = "class"

METRIC: Final = "metric"

SCORE: Final = "score"

TRUE: Final = "true"

PREDICTED: Final = "predicted"

IMAGES: Final = "images"

METRICS: Final = ("precision", "recall", "f1")

MAX_BINS: Final = 240
"""Points of a drawn loss curve: more than can be distinguished in half a page's width."""


def _trainings(
    records: Sequence[TrainingRecord | InferenceRecord],
) -> list[tuple[TrainingRecord, dict[str, str | int]]]:
    labels = device_labels(records)
    return [
        (record, {MODEL: record.model, DEVICE: labels[machine(record)], SEED: record.seed})
        for record in records
        if isinstance(record, TrainingRecord)
    ]


def _frame(rows: Iterable[Mapping[str, object]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Return rows as a frame; without rows it still has its columns."""
    return pd.DataFrame(list(rows), columns=list(columns))


def runs(records: Sequence[TrainingRecord | InferenceRecord], score: Score = "accuracy") -> pd.DataFrame:
    """Return one row per training, finished or not; scores as fractions, times in minutes or seconds.

    ACCURACY is the score that is asked for.
    """
    rows = []
    for record, key in _trainings(records):
        row: dict[str, object] = {**key, STATUS: record.status, REASON: record.reason}
        if record.result is not None:
            result = record.result
            row |= {
                MINUTES: result.train_seconds / 60,
                ACCURACY: result.scores.macro_recall if score == "balanced" else result.scores.accuracy,
                MACRO_F1: result.scores.macro_f1,
                BUILD_SECONDS: result.build_seconds,
                WARMUP_SECONDS: result.warmup_seconds,
                VALIDATION_SECONDS: result.validation_seconds,
                TEST_SECONDS: result.test_seconds,
                PEAK_HOST_BYTES: result.peak_host_bytes,
                PEAK_DEVICE_BYTES: result.peak_device_bytes,
            }
        rows.append(row)
    numbers = (MINUTES, ACCURACY, MACRO_F1, BUILD_SECONDS, WARMUP_SECONDS, VALIDATION_SECONDS, TEST_SECONDS)
    peaks = (PEAK_HOST_BYTES, PEAK_DEVICE_BYTES)
    frame = _frame(rows, (MODEL, DEVICE, SEED, STATUS, REASON, *numbers, *peaks))
    return frame.astype(dict.fromkeys((*numbers, *peaks), "float64"))


def step_losses(records: Sequence[TrainingRecord | InferenceRecord]) -> pd.DataFrame:
    """Return the training loss over iterations: mean, minimum and maximum of at most 240 equal bins per run."""
    rows: list[dict[str, object]] = []
    for record, key in _trainings(records):
        if record.result is None:
            continue
        losses = record.result.step_losses.array().astype(np.float64)
        start = 0
        for chunk in np.array_split(losses, min(len(losses), MAX_BINS)) if len(losses) else ():
            middle = start + (len(chunk) + 1) / 2
            rows.append({**key, ITERATION: middle, LOSS: chunk.mean(), LOW: chunk.min(), HIGH: chunk.max()})
            start += len(chunk)
    return _frame(rows, (MODEL, DEVICE, SEED, ITERATION, LOSS, LOW, HIGH))


def epochs(records: Sequence[TrainingRecord | InferenceRecord]) -> pd.DataFrame:
    """Return validation accuracy (fraction) and loss after each epoch, with the training minutes up to it."""
    return _frame(
        (
            {**key, EPOCH: epoch, MINUTES: minutes, ACCURACY: accuracy, LOSS: loss}
            for record, key in _trainings(records)
            if record.result is not None
            for epoch, minutes, accuracy, loss in zip(
                range(1, record.recipe.for_model(record.model).epochs + 1),
                np.cumsum(record.result.epoch_seconds) / 60,
                record.result.validation_accuracies,
                record.result.validation_losses,
                strict=False,
            )
        ),
        (MODEL, DEVICE, SEED, EPOCH, MINUTES, ACCURACY, LOSS),
    )


def mean_epochs(epochs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean curve of each model, by MODEL and EPOCH: geometric mean of MINUTES, mean of ACCURACY."""
    logs = epochs.assign(**{MINUTES: np.log(epochs[MINUTES].clip(lower=1e-9))})
    means = logs.groupby([MODEL, EPOCH])[[MINUTES, ACCURACY]].mean()
    return means.assign(**{MINUTES: np.exp(means[MINUTES])})


def class_scores(records: Sequence[TrainingRecord | InferenceRecord]) -> pd.DataFrame:
    """Return precision, recall and F1 (fractions) by class and run, with the number of test images of the class."""
    return _frame(
        (
            {**key, CLASS: score.name, METRIC: metric, SCORE: getattr(score, metric), IMAGES: score.support}
            for record, key in _trainings(records)
            if record.result is not None
            for score in record.result.scores.classes
            for metric in METRICS
        ),
        (MODEL, DEVICE, SEED, CLASS, METRIC, SCORE, IMAGES),
    )


def confusions(records: Sequence[TrainingRecord | InferenceRecord]) -> pd.DataFrame:
    """Return the number of test images by true class, predicted class and run."""
    return _frame(
        (
            {**key, TRUE: true, PREDICTED: predicted, IMAGES: images}
            for record, key in _trainings(records)
            if record.result is not None
            for true, row in zip(record.data.classes, record.result.scores.confusion, strict=True)
            for predicted, images in zip(record.data.classes, row, strict=True)
        ),
        (MODEL, DEVICE, SEED, TRUE, PREDICTED, IMAGES),
    )
