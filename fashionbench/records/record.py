"""The record: one measured case, strictly typed. Measuring writes it, reporting reads it, nothing else crosses."""

from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import Field, FiniteFloat, NonNegativeFloat, NonNegativeInt, ValidationError, model_validator

from fashionbench.options import Execution, Precision
from fashionbench.recipe import Recipe
from fashionbench.records.fields import Fraction, Name, Names, Packed, Rate, Seconds, Several, Strict

__all__ = [
    "SCHEMA",
    "ClassScore",
    "DataInfo",
    "Environment",
    "Execution",
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
    "parse_failure",
]

MOST_FAULTS: Final = 1_000

SCHEMA: Final = 1
"""Number of the record's layout; a file of another number is refused, never guessed at."""

Status = Literal["finished", "failed", "absent"]

Identity = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Environment(Strict):
    """Where and with what a case was measured; the host's name is left out on purpose."""

    system: str
    """Operating system, release and machine type."""
    cpu: str
    physical_cores: NonNegativeInt | None
    logical_cores: NonNegativeInt
    memory_bytes: NonNegativeInt
    accelerator: str | None
    """The accelerator's name as its runtime gives it; None on cpu."""
    driver: str | None
    threads: NonNegativeInt
    versions: Names
    """Python's and each library's version."""
    commit: str | None
    """Commit of the FashionBench checkout; None for an installed wheel."""
    commit_clean: bool | None
    command: str
    """The command that was typed, with the folders of the machine left out."""


class DataInfo(Strict):
    """Which images were used."""

    name: str
    """For people: ``Fashion-MNIST``."""
    release: str
    """``current (31 Aug 2017)`` or ``older draw (26 Aug 2017)``, from the digests or labels."""
    source: str
    """Where the files came from, without a path of the machine."""
    digests: Names
    """SHA-256 of each decompressed file."""
    classes: Several[str]
    train_images: NonNegativeInt
    validation_images: NonNegativeInt
    test_images: NonNegativeInt
    read_seconds: Seconds
    """Off the clock, once a run: fetching, verifying and decoding the files."""


class ModelInfo(Strict):
    """What a model is, whatever it learned."""

    parameters: NonNegativeInt
    reachable_parameters: NonNegativeInt
    """Parameters that any image of this size can reach; the others only ever meet zero padding."""
    forward_flops: NonNegativeInt
    """Floating-point operations of one image's forward pass, a multiply and an add counted as two."""
    training_flops: NonNegativeInt
    """The same for forward and backward."""
    layers: NonNegativeInt | None = None
    """Convolutions and linear layers; None in records of before 0.2."""
    useful_forward_flops: NonNegativeInt | None = None
    """Of the forward operations those that meet data, and not zero padding."""
    useful_training_flops: NonNegativeInt | None = None
    activations: NonNegativeInt | None = None
    """Numbers that all layers put out for one image."""


class Peak(Strict):
    """What the device can do at most, measured before the first case."""

    product_flops_per_second: Rate
    convolution_flops_per_second: Rate
    copy_bytes_per_second: Rate
    """Read and write counted both."""


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
    classes: Several[ClassScore]
    confusion: Several[Several[NonNegativeInt]]
    """Images by true class (row) and predicted class (column)."""


class Mistake(Strict):
    """A test image that the model got wrong with confidence, kept so that a report needs no data."""

    index: NonNegativeInt
    """Its place among the test images of this record."""
    label: NonNegativeInt
    prediction: NonNegativeInt
    confidence: Fraction
    image: Packed
    """Grey levels or colours, (channels, height, width), u1."""


class SelfCheck(Strict):
    """The same case trained once more, for how much of a difference is noise."""

    train_seconds: Seconds
    differing_losses: NonNegativeInt
    """Iterations whose training loss differs in any bit."""
    differing_predictions: NonNegativeInt
    """Test images on which the two trainings disagree."""


class TrainingResult(Strict):
    """What one training gave."""

    train_seconds: Seconds
    """The training clock: shuffling, batches, copies, forward, backward, optimizer, schedule, device wait."""
    epoch_seconds: Several[Seconds]
    """The clock's share of each epoch; adds up to ``train_seconds``."""
    build_seconds: Seconds
    """Off the clock: building the model and moving it to the device."""
    warmup_seconds: Seconds
    """Off the clock: steps of a throw-away copy on noise."""
    validation_seconds: Seconds
    """Off the clock: all validations."""
    test_seconds: Seconds
    """Off the clock: the one scoring of the test images."""
    step_losses: Packed
    """Training loss of every iteration, (epochs * steps,), <f4."""
    validation_losses: Several[FiniteFloat]
    validation_accuracies: Several[Fraction]
    scores: Scores
    test_labels: Packed
    """True class of each test image, (test_images,), u1."""
    test_predictions: Packed
    """Predicted class of each test image, (test_images,), u1."""
    test_confidences: Packed
    """Softmax probability of the predicted class times 65,535, (test_images,), <u2."""
    mistakes: Several[Mistake]
    """The most confident mistakes, most confident first."""
    peak_host_bytes: NonNegativeInt
    """Peak resident memory of the process while this case ran."""
    peak_device_bytes: NonNegativeInt | None
    """Peak memory allocated on the accelerator; None on cpu."""
    resumed: NonNegativeInt = 0
    """How often the training went on from a checkpoint; the seconds are the sum of what was kept."""
    self_check: SelfCheck | None = None


class InferenceResult(Strict):
    """What timing the forward pass gave."""

    seconds: Annotated[Several[Seconds], Field(min_length=1)]
    """Seconds of each timed round (one batch a round)."""

    def median_seconds(self) -> float:
        """Return the median round, in seconds for one batch."""
        return float(np.median(self.seconds))


class _Case(Strict):
    schema_version: Literal[1] = SCHEMA
    model: Name
    device: Name
    """The device's word: cpu, cuda, cuda:1, mps, xpu."""
    device_name: str
    """The device's product name; empty where the device is absent."""
    execution: Execution
    precision: Precision
    status: Status
    reason: str = ""
    """Why a case has no result; empty when finished."""
    measured_at: str
    """UTC, ISO 8601, to the second."""
    environment: Environment
    model_info: ModelInfo | None
    peak: Peak | None = None
    code_sha256: Identity | None = None
    """Of our own code that decides numbers; None in records of before 0.2."""
    model_sha256: Identity | None = None
    """Of the model's source, or of its library's version."""


class TrainingRecord(_Case):
    """One training of one model on one device with one recipe and one seed."""

    kind: Literal["training"] = "training"
    identity: Identity
    """SHA-256 of all that decides the numbers; a case of the same identity is not measured twice."""
    seed: NonNegativeInt
    looks: Several[NonNegativeInt] = ()
    """Numbers of seeds at which its run looked whether the verdict is decided; empty where their number was fixed."""
    recipe: Recipe
    data: DataInfo
    result: TrainingResult | None

    @model_validator(mode="after")
    def _check_result(self) -> Self:
        if (self.result is not None) != (self.status == "finished"):
            message = f"status {self.status!r} with{'' if self.result else 'out'} a result"
            raise ValueError(message)
        return self


class InferenceRecord(_Case):
    """The forward pass of one model on one device at one batch size."""

    kind: Literal["inference"] = "inference"
    batch_size: NonNegativeInt
    result: InferenceResult | None

    @model_validator(mode="after")
    def _check_result(self) -> Self:
        if (self.result is not None) != (self.status == "finished"):
            message = f"status {self.status!r} with{'' if self.result else 'out'} a result"
            raise ValueError(message)
        return self


Record = Annotated[TrainingRecord | InferenceRecord, Field(discriminator="kind")]


def parse_failure(error: ValidationError) -> str:
    """Return where and what is wrong first; a file made to fail in a million places is not gone through."""
    if error.error_count() > MOST_FAULTS:
        return f"{error.error_count():,} fields do not fit"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the whole'}: {first['msg']}"
