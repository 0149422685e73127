"""Recipes in TOML files: read, and refused in a line if they are not right."""

import re
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from fashionbench.errors import InputError
from fashionbench.opening import read_regular
from fashionbench.recipe.fields import RECIPES, Augmentation, Hyperparameters, Recipe, with_table

__all__ = ["load_recipe", "read_toml"]

MAX_TOML_BYTES: Final = 32 * 1024

SHOWN: Final = 60
"""Characters of a wrong value that a message quotes."""

DEEPEST: Final = 10
"""Tables and lists in each other that a message quotes."""


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
    fields = with_table(read_toml(path, "recipe"))
    try:
        recipe = Recipe.model_validate({"name": path.stem, **_with_study_batch_sizes(fields)})
    except ValidationError as error:
        raise _invalid_field(path, error) from error
    _require_sense(path, recipe, fields.get("model", {}), trained)
    return recipe


def _require_sense(path: Path, recipe: Recipe, named: Collection[str], trained: Collection[str] | None) -> None:
    """Require that each table is of a model that is trained, and that momentum has an effect."""
    for name in named:
        if trained is not None and name not in trained:
            raise InputError(
                f"recipe file {path} has a table [model.{name[:SHOWN]}]",
                expected=f"tables of models that this run trains: {', '.join(trained) or 'none'}",
                remedy="correct the name or remove the table, or add the model to --models",
            )
    require_used_momentum(recipe, f"recipe file {path}")


def require_used_momentum(recipe: Recipe, source: str) -> None:
    """Require that momentum is asked of the right optimizer.

    Raises:
        InputError: It is not; the source is named.

    """
    for name in ("", *recipe.model):
        how = recipe.for_model(name)
        if how.momentum and how.optimizer != "sgd":
            raise InputError(
                f"{source} has momentum {how.momentum:g} with the optimizer {how.optimizer!r}"
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
    """Return a wrong value for a message. Python writes out no number of over 4,300 digits."""
    if _is_deep(value):
        return "nested too deeply"
    try:
        return repr(value)[:SHOWN]
    except ValueError:
        return "a number of too many digits"


def _is_deep(value: object, levels: int = DEEPEST) -> bool:
    """Say whether tables and lists lie in each other more deeply than in any recipe."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deep(each, levels - 1) for each in inner)
