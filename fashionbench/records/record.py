"""The record: one measured case, strictly typed. It is all that measuring passes on to judging and reporting."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from fashionbench.catalogue import is_baseline
from fashionbench.options.option import Execution, Precision
from fashionbench.recipe.fields import Recipe
from fashionbench.records.fields import Count, Name, Names, Number, Rate, Seconds, Strict, Text, Time, TupleOf
from fashionbench.records.result import (
    DISTURBING_SHARE,
    ClassScore,
    InferenceResult,
    Mistake,
    Scores,
    SelfCheck,
    TrainingResult,
    find_contradiction,
)

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
    "StepMethod",
    "TrainingRecord",
    "TrainingResult",
    "Trial",
]

MOST_CLASSES: Final = 256
"""Labels are stored as bytes."""

MOST_LOOKS: Final = 1_000

SCHEMA: Final = 1
"""Version of the record's layout. A file of another version is rejected."""


Status = Literal["finished", "failed", "absent"]

StepMethod = Literal["contiguous", "channels-last", "captured contiguous", "captured channels-last"]
"""How the fast execution computes a step on an accelerator.

Contiguous: the model's own layers, as they are. Channels-last: rewritten layers where they suit, or its own, in that
order of axes. Captured: the device records a step once and then does it again, without the update where a schedule
changes more than the learning rate; else it is told each operation.
"""

Identity = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Environment(Strict):
    """The hardware and software of a measurement, without the host's name, which is private."""

    system: Text
    """Operating system, release and machine type."""
    cpu: Text
    physical_cores: Count | None
    logical_cores: Count
    usable_cpus: Count | None = None
    """CPUs that affinity and control groups leave to the run; None in records from before 0.2."""
    governor: Text | None = None
    """How the system chooses the CPUs' clock, or "not readable"; None in records from before 0.2."""
    memory_bytes: Count
    accelerator: Text | None
    """The accelerator's name as reported by its runtime; None on cpu."""
    driver: Text | None
    threads: Count
    versions: Names
    """Versions of Python and of each library."""
    commit: Text | None
    """Commit of the FashionBench checkout; None for an installed wheel."""
    commit_clean: bool | None
    """Whether the checkout had no uncommitted changes; None for an installed wheel."""
    command: Text
    """The command, without absolute paths."""


class DataInfo(Strict):
    """The images of a training and its scoring."""

    name: Text
    """For readers: ``Fashion-MNIST``."""
    release: Text
    """``current (31 Aug 2017)`` or ``older draw (26 Aug 2017)``, detected from the digests or labels."""
    source: Text
    """The origin of the files, without absolute paths."""
    digests: Names
    """SHA-256 of each decompressed file."""
    classes: Annotated[TupleOf[Text], Field(min_length=2, max_length=MOST_CLASSES)]
    train_images: Count
    validation_images: Count
    test_images: Count
    read_seconds: Seconds
    """Off the clock, once per run: fetching, verifying and decoding the files."""


class ModelInfo(Strict):
    """Size and cost of a model."""

    parameters: Count
    reachable_parameters: Count
    """Parameters that are multiplied with data; the others are multiplied with zero padding only."""
    forward_flops: Count
    """Floating-point operations of the forward pass of one image; a multiplication and an addition count as two."""
    training_flops: Count
    """The same for the forward and the backward pass."""
    layers: Count | None = None
    """Number of convolutions and linear layers; None in records from before 0.2."""
    useful_forward_flops: Count | None = None
    """The operations of the forward pass that are done on data, not on zero padding."""
    useful_training_flops: Count | None = None
    """The same for the forward and the backward pass."""
    activations: Count | None = None
    """Number of output values of all layers for one image."""
    trained_parameters: Count | None = None
    """Parameters that are not frozen; None in records from before 0.2."""
    built: Text = ""
    """The call of the user's class or function, and what its file of trained weights gives; usually empty."""
    gives_probabilities: bool = False
    """Whether it ends as in a softmax or sigmoid, where the loss expects logits."""


class Peak(Strict):
    """The peak performance of a device, measured before the first case."""

    product_flops_per_second: Rate
    convolution_flops_per_second: Rate
    copy_bytes_per_second: Rate
    """Bytes read plus bytes written."""


class Trial(Strict):
    """The ways to compute a model's training step that were tried on an accelerator before its first training."""

    chosen: StepMethod
    """The fastest of those that can be used."""
    step_seconds: Annotated[dict[StepMethod, Seconds], Field(max_length=8)]
    """Mean seconds of a step, by method that can be used."""
    rejected: Names
    """Why another method cannot be used."""

    def described(self) -> str:
        """Return what was chosen, and what else was tried."""
        ordered = sorted(self.step_seconds.items(), key=lambda each: each[1])
        others = [f"{method} {1000 * seconds:.2f} ms" for method, seconds in ordered if method != self.chosen]
        others += [f"{method} cannot be used: {reason}" for method, reason in self.rejected.items()]
        time = f"{self.chosen}, {1000 * self.step_seconds[self.chosen]:.2f} ms a step"
        return f"{time} ({'; '.join(others)})" if others else time

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        if self.chosen not in self.step_seconds:
            message = f"the chosen way to compute a step, {self.chosen!r}, was not timed"
            raise ValueError(message)
        return self


class _MeasuredCase(Strict):
    schema_version: Literal[1] = SCHEMA
    model: Name
    device: Annotated[str, Field(pattern=r"^(cpu|mps|(cuda|xpu)(:\d{1,4})?)$")]
    device_name: Text
    """The product name of the device; empty if the device is absent."""
    execution: Execution
    precision: Precision
    status: Status
    reason: Text = ""
    """Why the case has no result; empty if it is finished."""
    measured_at: Time
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
    seed: Count
    looks: Annotated[TupleOf[Number], Field(max_length=MOST_LOOKS)] = ()
    """Numbers of seeds at which an interim analysis was planned; empty if the number of seeds was fixed."""
    recipe: Recipe
    trial: Trial | None = None
    """How its steps were chosen; None on the CPU, for plain steps, and in records from before 0.2."""
    data: DataInfo
    result: TrainingResult | None

    @model_validator(mode="after")
    def _check_result(self) -> Self:
        _require_result_if_finished(self)
        if list(self.looks) != sorted(set(self.looks)):
            message = "the planned numbers of seeds do not ascend"
            raise ValueError(message)
        if len(set(self.data.classes)) < len(self.data.classes):
            message = "two classes have the same name"
            raise ValueError(message)
        if self.result is not None:
            epochs = 1 if is_baseline(self.model) else self.recipe.for_model(self.model).epochs
            names, images = self.data.classes, self.data.test_images
            found = find_contradiction(self.result, names=names, images=images, epochs=epochs)
            if found is not None:
                raise ValueError(found)
        return self


class InferenceRecord(_MeasuredCase):
    """The forward pass of one model on one device at one batch size."""

    kind: Literal["inference"] = "inference"
    identity: Identity | None = None
    """SHA-256 of everything that decides the times, the data included; None in records from before 0.2."""
    batch_size: Number
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
