"""How to train: the validated Recipe, the built-in recipes and the TOML reader. Imports no torch."""

import re
import tomllib
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from fashionbench.errors import InputError

__all__ = ["RECIPES", "Recipe", "load_recipe"]

MAX_TOML_BYTES: Final = 64 * 1024

Fraction = Annotated[float, Field(gt=0, lt=1)]


BatchSize = Annotated[int, Field(ge=2)]
"""Batch normalisation cannot train on a single image."""


class Recipe(BaseModel):
    """Everything that decides a training besides model, device and seed.

    The loss is cross entropy. The optimizer is Adam (Kingma and Ba, 2015) with PyTorch's other defaults. The schedule
    ``step`` multiplies the learning rate by ``gamma`` after every ``step_epochs`` epochs. ``one-cycle`` raises it to
    ``learning_rate`` in the first 30 % of the steps and lowers it to almost zero after that (Smith and Topin, 2018,
    with the defaults of PyTorch's OneCycleLR).
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=80)]
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 10
    epochs_by_model: dict[str, Annotated[int, Field(ge=1, le=10_000)]] = Field(default_factory=dict)
    batch_size: BatchSize = 100
    batch_size_by_model: dict[str, BatchSize] = Field(default_factory=dict)
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.001
    schedule: Literal["step", "one-cycle"] = "step"
    step_epochs: PositiveInt = 5
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Part of each label that is distributed evenly over all classes (Szegedy et al., 2016)."""
    validation_fraction: Fraction = 0.25
    train_images: Annotated[int, Field(ge=100)] | None = None
    """Number of images drawn before the validation split, stratified, by seed; None: all."""
    test_images: Annotated[int, Field(ge=10)] | None = None
    """Number of test images drawn, stratified, the same for every seed; None: all."""
    is_result: bool = True
    """False for a recipe that only checks an installation; its report states this on every page."""

    def epochs_for(self, model: str) -> int:
        """Return the number of epochs of a model."""
        return self.epochs_by_model.get(model, self.epochs)

    def batch_size_for(self, model: str) -> int:
        """Return the training batch size of a model."""
        return self.batch_size_by_model.get(model, self.batch_size)


RECIPES: Final = MappingProxyType(
    {
        "study": Recipe(name="study", batch_size_by_model={"resnet18": 20}),
        "swift": Recipe(
            name="swift",
            epochs=4,
            epochs_by_model={"resnet18": 6},
            batch_size=128,
            batch_size_by_model={"resnet18": 64},
            learning_rate=0.006,
            schedule="one-cycle",
            label_smoothing=0.1,
        ),
        "smoke": Recipe(
            name="smoke",
            epochs=1,
            batch_size_by_model={"resnet18": 20},
            train_images=6_000,
            test_images=1_000,
            is_result=False,
        ),
    }
)


def load_recipe(name_or_path: str) -> Recipe:
    """Return a built-in recipe by name, or the recipe in a ``.toml`` file.

    Fields that a file leaves out are those of ``study``, and its name is the file's stem. If the file has a
    ``batch_size``, it applies to all models that the file does not name.

    Raises:
        InputError: The recipe is unknown, its file cannot be read, or a field is invalid.

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
    try:
        if path.stat().st_size > MAX_TOML_BYTES:
            raise InputError(
                f"recipe file {path} has {path.stat().st_size:,} bytes",
                expected=f"at most {MAX_TOML_BYTES:,} bytes",
                remedy="check that it is a recipe",
            )
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"recipe file {path} cannot be read ({error.strerror})",
            expected="a readable TOML file",
            remedy="check the path given to --recipe",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"recipe file {path} is not valid TOML ({error})",
            expected="lines such as epochs = 10",
            remedy="correct that line",
        ) from error
    try:
        return Recipe.model_validate({"name": path.stem, **_with_study_batch_sizes(fields)})
    except ValidationError as error:
        raise _invalid_field(path, error) from error


def _with_study_batch_sizes(fields: dict[str, object]) -> dict[str, object]:
    """Add the batch sizes of single models in ``study``, unless the file has a batch size for them."""
    given = fields.get("batch_size_by_model", {})
    if "batch_size" in fields or not isinstance(given, dict):
        return fields
    return {**fields, "batch_size_by_model": {**RECIPES["study"].batch_size_by_model, **given}}


def _invalid_field(path: Path, error: ValidationError) -> InputError:
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return InputError(
            f"recipe file {path} has the unknown field {field!r}",
            expected=f"only the fields {', '.join(Recipe.model_fields)}",
            remedy=f"correct or remove {field!r}",
        )
    expected = re.sub(r"^\w+ should (be|have) ", "", first["msg"])  # "Input should be greater than 0"
    return InputError(
        f"recipe file {path}: field {field!r} is {first['input']!r:.60}",
        expected=re.sub("^(?=greater|less)", "a number ", expected),
        remedy=f"correct or remove {field!r}",
    )
