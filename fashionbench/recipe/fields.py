"""How to train: the validated Recipe and the built-in recipes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from fashionbench.recipe.tuning import LONGEST_NAME, Tuning

__all__ = [
    "RECIPES",
    "Augmentation",
    "Hyperparameters",
    "Normalization",
    "OptimizerName",
    "Recipe",
    "with_table",
]

MOST_IMAGES: Final = 10**9

MOST_MODELS: Final = 1_000

MOST_MINUTES: Final = 1_000_000

SECONDS_PER_TIMING: Final = 1.0
SECONDS_PER_ROUGH_TIMING: Final = 0.1

PRINTABLE: Final = r"^[^\p{Cc}\u202a-\u202e\u2066-\u2069]*$"
"""A text without control characters and bidirectional overrides."""

Model = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]

Fraction = Annotated[float, Field(gt=0, lt=1)]

BY_MODEL: Final = MappingProxyType({"epochs_by_model": "epochs", "batch_size_by_model": "batch_size"})
"""What records and recipe files had before the table ``model``, and the field of that table that says it now."""

LEADING: Final = ("name", "epochs", "epochs_by_model", "batch_size", "batch_size_by_model")
"""The fields of a record's recipe that come first; the digest of a record depends on their order."""


OptimizerName = Literal["adam", "adamw", "sgd"]


class Augmentation(BaseModel):
    """What is done to the training images, drawn anew in each epoch, in this order."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    flip: bool = False
    """Left and right change places in every other image, by chance."""
    shift: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Pixels by which an image is moved at most, up or down and left or right; black comes in."""
    erase: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability that a box of 2 to 33 % of an image becomes black (random erasing, Zhong et al., 2020)."""


def _read_normalization(given: object) -> object:
    """Return ``imagenet``, or means and standard deviations as tuples; raise ValueError where it is neither."""
    if given is None or given == "imagenet":
        return given
    match given:
        case [[_, *_] as means, [_, *_] as deviations]:
            values = [float(each) for each in [*means, *deviations] if isinstance(each, (int, float))]
            found = tuple(values[: len(means)]), tuple(values[len(means) :])
            if len(found[1]) == len(deviations) and max(map(abs, values)) < MOST_IMAGES and min(found[1]) > 0:
                return found
    message = 'should be "imagenet", or a list of means and one of standard deviations above 0, such as [[0.5], [0.25]]'
    raise ValueError(message)


Normalization = Literal["imagenet"] | tuple[tuple[float, ...], tuple[float, ...]]


class Hyperparameters(BaseModel):
    """How one model is trained.

    The loss is cross entropy. The optimizers are PyTorch's, with its other defaults. The schedule ``step`` multiplies
    the learning rate by ``gamma`` after every ``step_epochs`` epochs; ``cosine`` lowers it to zero along half a cosine
    (Loshchilov and Hutter, 2017). ``one-cycle`` raises it to ``learning_rate`` and lowers it to almost zero after that
    (Smith and Topin, 2018, with the defaults of PyTorch's OneCycleLR).
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    epochs: Annotated[int, Field(ge=1, le=10_000)] = 10
    batch_size: Annotated[int, Field(ge=2, le=MOST_IMAGES)] = 100
    """Batch normalisation cannot train on a single image."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.001
    schedule: Literal["constant", "step", "cosine", "one-cycle"] = "step"
    step_epochs: Annotated[int, Field(ge=1, le=10_000)] = 5
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Part of each label that is distributed evenly over all classes (Szegedy et al., 2016)."""
    optimizer: OptimizerName = "adam"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of SGD."""
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.0
    """An L2 penalty with Adam and SGD, decoupled from the gradient with AdamW."""
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Part of the steps in which the learning rate rises linearly; None: 0, and 0.3 in ``one-cycle``."""
    augment: Augmentation = Augmentation()
    freeze: Literal["all but head"] | None = None
    """Which weights stay as they are; frozen norms stay in evaluation mode."""
    normalize: Annotated[Normalization | None, BeforeValidator(_read_normalization)] = None
    """What the network subtracts from the channels of its images, and divides them by; None: nothing."""

    @property
    def cycles_betas(self) -> bool:
        """Whether the schedule changes Adam's betas in each step, too. SGD keeps its momentum."""
        return self.schedule == "one-cycle" and self.optimizer != "sgd"


def _given(fields: Hyperparameters) -> dict[str, Any]:
    return fields.model_dump(mode="json", exclude_unset=True)


class Recipe(Hyperparameters):
    """Everything that decides a training besides model, device and seed."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=PRINTABLE)]
    validation_fraction: Fraction = 0.25
    train_images: Annotated[int, Field(ge=100, le=MOST_IMAGES)] | None = None
    """Number of images drawn before the validation split, stratified, by seed; None: all."""
    test_images: Annotated[int, Field(ge=10, le=MOST_IMAGES)] | None = None
    """Number of test images drawn, stratified, the same for every seed; None: all."""
    is_result: bool = True
    """False for a recipe that only checks an installation; its report states this on every page."""
    model: dict[Model, Annotated[Hyperparameters, PlainSerializer(_given)]] = Field(
        default_factory=dict, max_length=MOST_MODELS
    )
    """What differs for single models, by their names: only the fields that were given count."""

    precision: Literal["fp32", "bf16"] = "fp32"
    """The arithmetic where ``--precision`` names none; bf16 only on devices that have instructions for it."""
    tuning: Tuning | None = None
    """Where the recipe comes from, if ``fashionbench tune`` wrote it."""
    budget_minutes: Annotated[float, Field(gt=0, le=MOST_MINUTES)] | None = None
    """The minutes of training for which ``--budgets`` chose the epochs."""

    @property
    def label(self) -> str:
        """Its name, and its budget if it has one: ``swift, 2 min``."""
        return self.name if self.budget_minutes is None else f"{self.name}, {self.budget_minutes:g} min"

    @property
    def seconds_per_timing(self) -> float:
        """How long single steps and forward passes are timed: a check of an installation needs rough figures only."""
        return SECONDS_PER_TIMING if self.is_result else SECONDS_PER_ROUGH_TIMING

    def for_model(self, model: str) -> Hyperparameters:
        """Return how a model is trained: the recipe's fields, and in their place those of the model's own table."""
        own = self.model.get(model, Hyperparameters())
        sources = ((name, own if name in own.model_fields_set else self) for name in Hyperparameters.model_fields)
        return Hyperparameters.model_validate({name: getattr(source, name) for name, source in sources})

    @model_validator(mode="before")
    @classmethod
    def _read_earlier_layout(cls, fields: object) -> object:
        """Accept what records and files had before the table ``model``."""
        return with_table(fields) if isinstance(fields, dict) else fields

    @model_serializer(mode="wrap")
    def _write_earlier_layout(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what the earlier layout could say as it did, in its order, so that digests of earlier records match."""
        fields: dict[str, Any] = write(self)
        if all({*own} <= {*BY_MODEL.values()} for own in fields.get("model", {}).values()):
            table = fields.pop("model", {})
            for earlier, field in BY_MODEL.items():
                fields[earlier] = {name: own[field] for name, own in table.items() if field in own}
        return {name: fields[name] for name in dict.fromkeys([*LEADING, *fields]) if fields.get(name, {}) != {}}


def with_table(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's fields with a table ``model`` in place of a mapping for each field; leave what is no table."""
    found = dict(fields)
    for earlier, field in BY_MODEL.items():
        given, table = found.get(earlier), found.get("model", {})
        if not isinstance(given, dict) or not isinstance(table, dict):
            continue
        if all(isinstance(table.get(name, {}), dict) for name in given):
            del found[earlier]
            found["model"] = table | {name: {field: value, **table.get(name, {})} for name, value in given.items()}
    return found


RECIPES: Final = MappingProxyType(
    {
        "study": Recipe(name="study", model={"resnet18": Hyperparameters(batch_size=20)}),
        "swift": Recipe(
            name="swift",
            epochs=4,
            batch_size=128,
            learning_rate=0.006,
            schedule="one-cycle",
            label_smoothing=0.1,
            precision="bf16",
            model={"resnet18": Hyperparameters(epochs=7, batch_size=256, learning_rate=0.01)},
        ),
        "smoke": Recipe(
            name="smoke",
            epochs=1,
            train_images=6_000,
            test_images=1_000,
            is_result=False,
            model={"resnet18": Hyperparameters(batch_size=20)},
        ),
    }
)
