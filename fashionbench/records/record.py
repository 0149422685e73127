"""The record: one measured case, strictly typed. It is all that measuring passes on to judging and reporting."""

from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import Field, FiniteFloat, NonNegativeFloat, NonNegativeInt, model_validator

from fashionbench.options import Execution, Precision
from fashionbench.recipe import Recipe
from fashionbench.records.fields import Fraction, Name, Names, Packed, Rate, Seconds, Strict, TupleOf

__all__ = [
    "DISTURBING_SHARE",
    "SCHEMA",
    "ClassScore",
    "DataInfo",
    "Environment",
    "Execution",
    "Identity",
    "InferenceRecord",
    "InferenceResult",
    "Mistake",
    "ModelInfo",
    "Peak",
    "Precision",
    "Record",
    "Scores",
    "SelfCheck",
    "Status",
    "TrainingRecord",
    "TrainingResult",
]

SCHEMA: Final = 1
"""Version of the record's layout. A file of another version is rejected."""

DISTURBING_SHARE: Final = 0.05
"""An epoch in which other processes used a larger fraction of the CPUs does not show the model's own time."""

Status = Literal["finished", "failed", "absent"]

Identity = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Environment(Strict):
    """The hardware and software of a measurement, without the host's name, which is private."""

    system: str
    """Operating system, release and machine type."""
    cpu: str
    physical_cores: NonNegativeInt | None
    logical_cores: NonNegativeInt
    memory_bytes: NonNegativeInt
    accelerator: str | None
    """The accelerator's name as reported by its runtime; None on cpu."""
    driver: str | None
    threads: NonNegativeInt
    versions: Names
    """Versions of Python and of each library."""
    commit: str | None
    """Commit of the FashionBench checkout; None for an installed wheel."""
    commit_clean: bool | None
    """Whether the checkout had no uncommitted changes; None for an installed wheel."""
    command: str
    """The command, without absolute paths."""


class DataInfo(Strict):
    """The images of a training and its scoring."""

    name: str
    """For readers: ``Fashion-MNIST``."""
    release: str
    """``current (31 Aug 2017)`` or ``older draw (26 Aug 2017)``, detected from the digests or labels."""
    source: str
    """The origin of the files, without absolute paths."""
    digests: Names
    """SHA-256 of each decompressed file."""
    classes: TupleOf[str]
    train_images: NonNegativeInt
    validation_images: NonNegativeInt
    test_images: NonNegativeInt
    read_seconds: Seconds
    """Off the clock, once per run: fetching, verifying and decoding the files."""


class ModelInfo(Strict):
    """Size and cost of a model."""

    parameters: NonNegativeInt
    reachable_parameters: NonNegativeInt
    """Parameters that are multiplied with data; the others are multiplied with zero padding only."""
    forward_flops: NonNegativeInt
    """Floating-point operations of the forward pass of one image; a multiplication and an addition count as two."""
    training_flops: NonNegativeInt
    """The same for the forward and the backward pass."""
    layers: NonNegativeInt | None = None
    """Number of convolutions and linear layers; None in records from before 0.2."""
    useful_forward_flops: NonNegativeInt | None = None
    """The operations of the forward pass that are done on data, not on zero padding."""
    useful_training_flops: NonNegativeInt | None = None
    """The same for the forward and the backward pass."""
    activations: NonNegativeInt | None = None
    """Number of output values of all layers for one image."""


class Peak(Strict):
    """The peak performance of a device, measured before the first case."""

    product_flops_per_second: Rate
    convolution_flops_per_second: Rate
    copy_bytes_per_second: Rate
    """Bytes read plus bytes written."""


class ClassScore(Strict):
    """Scores of one class, as scikit-learn's ``precision_recall_fscore_support`` defines them."""

    name: str
    precision: Fraction
    recall: Fraction
    f1: Fraction
    support: NonNegativeInt


class Scores(Strict):
    """Scores on the test images; fractions in [0, 1]."""

    accuracy: Fraction
    loss: NonNegativeFloat
    macro_precision: Fraction
    macro_recall: Fraction
    macro_f1: Fraction
    classes: TupleOf[ClassScore]
    confusion: TupleOf[TupleOf[NonNegativeInt]]
    """Images by true class (row) and predicted class (column)."""


class Mistake(Strict):
    """A test image that the model gets wrong with high confidence, stored so that a report needs no data."""

    index: NonNegativeInt
    """Its index among the test images of this record."""
    label: NonNegativeInt
    prediction: NonNegativeInt
    confidence: Fraction
    image: Packed
    """Grey levels or colours, (channels, height, width), u1."""


class SelfCheck(Strict):
    """How a second training of the same case differs: the noise of a measurement."""

    train_seconds: Seconds
    differing_losses: NonNegativeInt
    """Number of steps whose training loss differs in any bit."""
    differing_predictions: NonNegativeInt
    """Number of test images with different predictions."""


class TrainingResult(Strict):
    """Times, losses, scores and predictions of one training."""

    train_seconds: Seconds
    """Time on the clock: shuffling, batches, copies, forward, backward, optimizer, schedule, device synchronisation."""
    epoch_seconds: TupleOf[Seconds]
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
    validation_losses: TupleOf[FiniteFloat]
    validation_accuracies: TupleOf[Fraction]
    scores: Scores
    test_labels: Packed
    """True class of each test image, (test_images,), u1."""
    test_predictions: Packed
    """Predicted class of each test image, (test_images,), u1."""
    test_confidences: Packed
    """Softmax probability of the predicted class times 65,535, (test_images,), <u2."""
    mistakes: TupleOf[Mistake]
    """The most confident mistakes, most confident first."""
    peak_host_bytes: NonNegativeInt
    """Peak resident memory of the case's process."""
    peak_device_bytes: NonNegativeInt | None
    """Peak memory allocated on the accelerator; None on cpu."""
    resumed: NonNegativeInt = 0
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

    seconds: Annotated[TupleOf[Seconds], Field(min_length=1)]
    """Seconds of each round, one batch per round."""

    def median_seconds(self) -> float:
        """Return the median seconds of a batch."""
        return float(np.median(self.seconds))


class _MeasuredCase(Strict):
    schema_version: Literal[1] = SCHEMA
    model: Name
    device: Name
    """The device word: cpu, cuda, cuda:1, mps, xpu."""
    device_name: str
    """The product name of the device; empty if the device is absent."""
    execution: Execution
    precision: Precision
    status: Status
    reason: str = ""
    """Why the case has no result; empty if it is finished."""
    measured_at: str
    """UTC, ISO 8601, to the second."""
    environment: Environment
    model_info: ModelInfo | None
    peak: Peak | None = None
    code_sha256: Identity | None = None
    """SHA-256 of the code that decides numbers; None in records from before 0.2."""
    model_sha256: Identity | None = None
    """SHA-256 of the model's source, or of its library's version; None in records from before 0.2."""


class TrainingRecord(_MeasuredCase):
    """One training of one model on one device with one recipe and one seed."""

    kind: Literal["training"] = "training"
    identity: Identity
    """SHA-256 of everything that decides the numbers. A case is not measured again if this is the same."""
    seed: NonNegativeInt
    looks: TupleOf[NonNegativeInt] = ()
    """Numbers of seeds at which an interim analysis was planned; empty if the number of seeds was fixed."""
    recipe: Recipe
    data: DataInfo
    result: TrainingResult | None

    @model_validator(mode="after")
    def _check_result(self) -> Self:
        _require_result_if_finished(self)
        return self


class InferenceRecord(_MeasuredCase):
    """The forward pass of one model on one device at one batch size."""

    kind: Literal["inference"] = "inference"
    identity: Identity | None = None
    """SHA-256 of everything that decides the times, the data included; None in records from before 0.2."""
    batch_size: NonNegativeInt
    result: InferenceResult | None

    @model_validator(mode="after")
    def _check_result(self) -> Self:
        _require_result_if_finished(self)
        return self


Record = Annotated[TrainingRecord | InferenceRecord, Field(discriminator="kind")]


def _require_result_if_finished(record: TrainingRecord | InferenceRecord) -> None:
    if (record.result is not None) != (record.status == "finished"):
        message = f"status {record.status!r} with{'' if record.result else 'out'} a result"
        raise ValueError(message)
