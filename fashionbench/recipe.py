"""How to train: the validated Recipe, the built-in recipes and the TOML reader. Imports no torch."""

import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from fashionbench.errors import InputError
from fashionbench.opening import read_regular
from fashionbench.tuned import Tuning

__all__ = [
    "RECIPES",
    "Augmentation",
    "Hyperparameters",
    "Normalization",
    "OptimizerName",
    "Recipe",
    "load_recipe",
    "read_toml",
]

MAX_TOML_BYTES: Final = 16 * 1024

MOST_IMAGES: Final = 10**9

MOST_MODELS: Final = 1_000

SHOWN: Final = 60
"""Characters of a wrong value that a message quotes."""

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


def _given(fields: Hyperparameters) -> dict[str, Any]:
    return fields.model_dump(mode="json", exclude_unset=True)


class Recipe(Hyperparameters):
    """Everything that decides a training besides model, device and seed."""

    name: Annotated[str, Field(min_length=1, max_length=80, pattern=PRINTABLE)]
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

    tuning: Tuning | None = None
    """Where the recipe comes from, if ``fashionbench tune`` wrote it."""

    def for_model(self, model: str) -> Hyperparameters:
        """Return how a model is trained: the recipe's fields, and in their place those of the model's own table."""
        own = self.model.get(model, Hyperparameters())
        sources = ((name, own if name in own.model_fields_set else self) for name in Hyperparameters.model_fields)
        return Hyperparameters.model_validate({name: getattr(source, name) for name, source in sources})

    @model_validator(mode="before")
    @classmethod
    def _read_earlier_layout(cls, fields: object) -> object:
        """Accept what records and files had before the table ``model``."""
        return _with_table(fields) if isinstance(fields, dict) else fields

    @model_serializer(mode="wrap")
    def _write_earlier_layout(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what the earlier layout could say as it did, in its order, so that digests of earlier records match."""
        fields: dict[str, Any] = write(self)
        if all({*own} <= {*BY_MODEL.values()} for own in fields.get("model", {}).values()):
            table = fields.pop("model", {})
            for earlier, field in BY_MODEL.items():
                fields[earlier] = {name: own[field] for name, own in table.items() if field in own}
        return {name: fields[name] for name in dict.fromkeys([*LEADING, *fields]) if fields.get(name, {}) != {}}


def _with_table(fields: Mapping[str, Any]) -> dict[str, Any]:
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
            model={"resnet18": Hyperparameters(epochs=6, batch_size=64)},
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


def load_recipe(name_or_path: str, trained: Collection[str] | None = None) -> Recipe:
    """Return a built-in recipe by name, or the recipe in a ``.toml`` file.

    Fields that a file leaves out are those of ``study``, and its name is the file's stem. If the file has a
    ``batch_size``, it applies to all models that the file does not name.

    Args:
        name_or_path: ``study``, ``swift``, ``smoke``, or a path.
        trained: The models that the run trains, for which a file may have tables; None: any.

    Raises:
        InputError: The recipe is unknown, its file cannot be read, a field is invalid, or a table is of no model that
            the run trains.

    """
    if name_or_path in RECIPES:
        return RECIPES[name_or_path]
    if not name_or_path.endswith(".toml"):
        raise InputError(
            f"unknown recipe {name_or_path!r}",
            expected=f"one of {', '.join(RECIPES)} or the path of a .toml file",
            remedy="name one of these with --recipe",
        )
    path = Path(name_or_path)
    fields = _with_table(read_toml(path, "recipe"))
    try:
        recipe = Recipe.model_validate({"name": path.stem, **_with_study_batch_sizes(fields)})
    except ValidationError as error:
        raise _invalid_field(path, error) from error
    _require_sense(path, recipe, fields.get("model", {}), trained)
    return recipe


def _require_sense(path: Path, recipe: Recipe, named: Collection[str], trained: Collection[str] | None) -> None:
    """Require that each table is of a model that is trained, and that momentum is asked of the right optimizer."""
    for name in named:
        if trained is not None and name not in trained:
            raise InputError(
                f"recipe file {path} has a table [model.{name[:SHOWN]}]",
                expected=f"tables of models that this run trains: {', '.join(trained) or 'none'}",
                remedy="correct the name or remove the table, or add the model to --models",
            )
    for name in ("", *recipe.model):
        how = recipe.for_model(name)
        if how.momentum and how.optimizer != "sgd":
            raise InputError(
                f"recipe file {path} has momentum {how.momentum:g} with the optimizer {how.optimizer!r}"
                + (f" for {name}" if name else ""),
                expected="momentum with the optimizer 'sgd' only",
                remedy="set momentum = 0 there, or optimizer = 'sgd'",
            )


def read_toml(path: Path, option: str) -> dict[str, Any]:
    """Return the fields of a TOML file that an option names.

    Raises:
        InputError: It cannot be read, is too large, or is no TOML.

    """
    try:
        return tomllib.loads(read_regular(path, MAX_TOML_BYTES).decode())
    except OSError as error:
        raise InputError(
            f"{option} file {path} cannot be read ({error.strerror})",
            expected=f"a TOML file of at most {MAX_TOML_BYTES:,} bytes",
            remedy=f"check the path given to --{option}",
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{option} file {path} is not valid TOML ({error})",
            expected="lines such as epochs = 10",
            remedy="correct that line",
        ) from error


def _with_study_batch_sizes(fields: dict[str, Any]) -> dict[str, Any]:
    """Add the batch sizes of single models in ``study``, unless the file has a batch size for them."""
    table = fields.get("model", {})
    if "batch_size" in fields or not isinstance(table, dict):
        return fields
    study = {name: {"batch_size": own.batch_size} for name, own in RECIPES["study"].model.items()}
    merged = {
        name: {**study.get(name, {}), **own} if isinstance(own, dict) else own
        for name, own in {**study, **table}.items()
    }
    return {**fields, "model": merged}


def _invalid_field(path: Path, error: ValidationError) -> InputError:
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))[:SHOWN]
    if first["type"] == "extra_forbidden":
        table = first["loc"][-2] if len(first["loc"]) > 1 else ""
        known = Augmentation if table == "augment" else Hyperparameters if table else Recipe
        return InputError(
            f"recipe file {path} has the unknown field {field!r}",
            expected=f"only the fields {', '.join(known.model_fields)}",
            remedy=f"correct or remove {field!r}",
        )
    expected = re.sub(r"^(\w+ |Value error, )should (be|have) ", "", first["msg"])  # "Input should be greater than 0"
    return InputError(
        f"recipe file {path}: field {field!r} is {_show(first['input'])}",
        expected=re.sub("^(?=greater|less)", "a number ", expected),
        remedy=f"correct or remove {field!r}",
    )


def _show(value: object) -> str:
    """Return a wrong value for a message. Python writes out no number of over 4,300 digits, and no endless table."""
    try:
        return repr(value)[:SHOWN]
    except (RecursionError, ValueError):
        return "nested too deeply" if isinstance(value, dict | list) else "a number of too many digits"
