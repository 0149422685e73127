"""The result of a case: its times, losses, scores and predictions, and whether they fit together."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fashionbench.records.fields import Count, Duration, Fraction, Loss, Packed, Seconds, Strict, Text, TupleOf

__all__ = [
    "DISTURBING_SHARE",
    "ClassScore",
    "InferenceResult",
    "Mistake",
    "Scores",
    "SelfCheck",
    "TrainingResult",
    "find_contradiction",
]

DISTURBING_SHARE: Final = 0.05
"""An epoch in which other processes used a larger fraction of the CPUs does not show the model's own time."""

MOST_MISTAKES: Final = 1_000

FEWEST_IMAGES: Final = 2
"""Of one, there is no spread."""

AXES: Final = 3
"""Of an image: channels, height and width."""

CHANNELS: Final = (1, 3)


class ClassScore(Strict):
    """Scores of one class, as scikit-learn's ``precision_recall_fscore_support`` defines them."""

    name: Text
    precision: Fraction
    recall: Fraction
    f1: Fraction
    support: Count


class Scores(Strict):
    """Scores on the test images; fractions in [0, 1]."""

    accuracy: Fraction
    loss: Loss
    macro_precision: Fraction
    macro_recall: Fraction
    macro_f1: Fraction
    classes: TupleOf[ClassScore]
    confusion: TupleOf[TupleOf[Count]]
    """Images by true class (row) and predicted class (column)."""


class Mistake(Strict):
    """A test image that the model gets wrong with high confidence, stored so that a report needs no data."""

    index: Count
    """Its index among the test images of this record."""
    label: Count
    prediction: Count
    confidence: Fraction
    image: Packed
    """Grey levels or colours, (channels, height, width), u1."""


class SelfCheck(Strict):
    """How a second training of the same case differs: the noise of a measurement."""

    train_seconds: Seconds
    differing_losses: Count
    """Number of steps whose training loss differs in any bit."""
    differing_predictions: Count
    """Number of test images with different predictions."""


class TrainingResult(Strict):
    """Times, losses, scores and predictions of one training."""

    train_seconds: Duration
    """Time on the clock: shuffling, batches, copies, forward, backward, optimizer, schedule, device synchronisation."""
    epoch_seconds: TupleOf[Duration]
    """Time on the clock of each epoch; the sum is ``train_seconds``."""
    build_seconds: Seconds
    """Off the clock: building the model and moving it to the device."""
    warmup_seconds: Seconds
    """Off the clock: training steps of a discarded copy of the model on random images."""
    validation_seconds: Seconds
    """Off the clock: all validations."""
    test_seconds: Seconds
    """Off the clock: scoring the test images, once."""
    step_losses: Packed
    """Training loss of each step, (epochs * steps,), <f4."""
    validation_losses: TupleOf[Loss]
    validation_accuracies: TupleOf[Fraction]
    scores: Scores
    test_labels: Packed
    """True class of each test image, (test_images,), u1."""
    test_predictions: Packed
    """Predicted class of each test image, (test_images,), u1."""
    test_confidences: Packed
    """Softmax probability of the predicted class times 65,535, (test_images,), <u2."""
    mistakes: Annotated[TupleOf[Mistake], Field(max_length=MOST_MISTAKES)]
    """The most confident mistakes, most confident first."""
    peak_host_bytes: Count
    """Peak resident memory of the case's own process, from building the model to scoring the test images."""
    peak_device_bytes: Count | None
    """Peak memory that this process allocated on the accelerator in that time; None on cpu."""
    resumed: Count = 0
    """How often the training continued from a checkpoint; the seconds are those of the steps that were kept."""
    self_check: SelfCheck | None = None
    paused_seconds: Seconds = 0.0
    """Off the clock: how long the process stood still during the training, stopped or suspended."""
    others_cpu_share: TupleOf[Fraction | None] = ()
    """Of each epoch, the fraction of the CPUs that other processes used; None where it was too short to tell."""

    def disturbed_epochs(self) -> tuple[int, ...]:
        """Return the epochs, counted from 1, in which other processes used so much that the time is not reliable."""
        return tuple(
            number
            for number, share in enumerate(self.others_cpu_share, start=1)
            if share is not None and share > DISTURBING_SHARE
        )


class InferenceResult(Strict):
    """Times of the forward pass."""

    seconds: Annotated[TupleOf[Duration], Field(min_length=1)]
    """Seconds of each round, one batch per round."""

    def median_seconds(self) -> float:
        """Return the median seconds of a batch."""
        return float(np.median(self.seconds))


def find_contradiction(result: TrainingResult, *, names: Sequence[str], images: int, epochs: int) -> str | None:
    """Return what does not fit together in a result; None if everything does.

    Args:
        result: The result of a training.
        names: The classes of its data.
        images: Number of test images of its data.
        epochs: Number of epochs of its recipe.

    """
    # in this order: each part relies on the one before, and none runs after the first contradiction
    parts = (
        _check_predictions(result, len(names), images),
        _check_mistakes(result),
        _check_scores(result, names),
        _check_epochs(result, epochs),
        _check_repetition(result),
    )
    return next(chain.from_iterable(parts), None)


def _check_predictions(result: TrainingResult, classes: int, images: int) -> Iterator[str]:
    packed = (result.test_labels, result.test_predictions, result.test_confidences)
    labels, predictions, confidences = (each.array() for each in packed)
    if [each.dtype for each in packed] != ["u1", "u1", "<u2"]:
        yield "test labels, predictions or confidences are numbers of another type"
    if labels.ndim != 1 or not labels.shape == predictions.shape == confidences.shape:
        yield "test labels, predictions and confidences are not lists of the same length"
    if labels.size < FEWEST_IMAGES:
        yield f"there are fewer than {FEWEST_IMAGES} test images"
    if labels.size != images:
        yield f"the predictions are not those of {images:,} test images"
    if max(labels.max(), predictions.max()) >= classes:
        yield f"a test label or prediction is not one of the {classes} classes"


def _check_mistakes(result: TrainingResult) -> Iterator[str]:
    labels, predictions = result.test_labels.array(), result.test_predictions.array()
    for mistake in result.mistakes:
        at = mistake.index
        if at >= labels.size or not mistake.label == labels[at] != predictions[at] == mistake.prediction:
            yield "a mistake is not one of the predictions"
        image = mistake.image
        if image.dtype != "u1" or len(image.shape) != AXES or image.shape[0] not in CHANNELS or 0 in image.shape:
            yield "the image of a mistake has no channels, height and width"


def _check_scores(result: TrainingResult, names: Sequence[str]) -> Iterator[str]:
    scores, classes = result.scores, len(names)
    labels, predictions = (each.array().astype(np.int64) for each in (result.test_labels, result.test_predictions))
    confusion = np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)
    if [list(row) for row in scores.confusion] != confusion.tolist():
        yield f"the confusion matrix of {classes} classes is not that of the predictions"
    if [each.name for each in scores.classes] != list(names):
        yield f"the scores are not those of the {classes} classes"
    right, there, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    expected = np.stack([right / predicted.clip(1), right / there.clip(1), 2 * right / (predicted + there).clip(1)])
    found = np.array([[each.precision, each.recall, each.f1] for each in scores.classes]).T
    if [each.support for each in scores.classes] != there.tolist() or not _are_close(found, expected):
        yield "the scores of a class are not those of the predictions"
    means = [scores.accuracy, scores.macro_precision, scores.macro_recall, scores.macro_f1]
    if not _are_close(np.array(means), np.array([right.sum() / labels.size, *expected.mean(axis=1)])):
        yield "the accuracy or a mean over the classes is not that of the predictions"


def _are_close(found: NDArray[np.float64], expected: NDArray[np.float64]) -> bool:
    return np.allclose(found, expected, rtol=0, atol=1e-6)


def _check_epochs(result: TrainingResult, epochs: int) -> Iterator[str]:
    if {*map(len, (result.epoch_seconds, result.validation_losses, result.validation_accuracies))} != {epochs}:
        yield f"the seconds, validation losses and accuracies are not those of {epochs} epochs"
    if len(result.others_cpu_share) not in {0, epochs}:
        yield f"the use of the CPUs by other processes is not that of {epochs} epochs"
    if not math.isclose(sum(result.epoch_seconds), result.train_seconds, rel_tol=1e-6, abs_tol=1e-6):
        yield "the seconds of the epochs do not add up to those of the training"
    losses = result.step_losses.array()
    if losses.dtype != np.float32 or losses.ndim != 1 or losses.size % epochs or not np.isfinite(losses).all():
        yield f"the losses of the steps are not finite numbers of {epochs} epochs of equal length"


def _check_repetition(result: TrainingResult) -> Iterator[str]:
    check = result.self_check
    if check is not None and (
        check.differing_losses > result.step_losses.array().size
        or check.differing_predictions > result.test_labels.array().size
    ):
        yield "more losses or predictions differ in the repetition than there are"
