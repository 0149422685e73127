"""Recipes have the defaults of the study, are validated, and errors name the field."""

import os
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from fashionbench.errors import InputError
from fashionbench.recipe.fields import RECIPES, Hyperparameters, Recipe
from fashionbench.recipe.file import load_recipe

OTHERS: Final[dict[str, Any]] = {
    "epochs": 7,
    "batch_size": 7,
    "learning_rate": 0.7,
    "schedule": "one-cycle",
    "step_epochs": 7,
    "gamma": 0.7,
    "label_smoothing": 0.7,
    "optimizer": "sgd",
    "momentum": 0.7,
    "weight_decay": 0.7,
    "warmup_fraction": 0.7,
    "augment": {"flip": True, "shift": 7, "erase": 0.7},
    "freeze": "all but head",
    "normalize": [[0.7], [0.07]],
}
"""Of each training field a value that is not the default."""


def test_the_study_recipe_has_the_values_of_the_study() -> None:
    study = load_recipe("study")

    assert study.for_model("resnet18").batch_size == 20
    assert study.for_model("fashioncnn").batch_size == 100
    assert (study.learning_rate, study.step_epochs, study.gamma, study.epochs) == (0.001, 5, 0.1, 10)
    assert study.validation_fraction == 0.25
    assert study.is_result


def test_the_smoke_recipe_is_not_a_result() -> None:
    smoke = load_recipe("smoke")

    assert not smoke.is_result
    assert (smoke.train_images, smoke.test_images, smoke.epochs) == (6_000, 1_000, 1)


def test_a_recipe_file_is_read_and_named_after_the_file(tmp_path: Path) -> None:
    path = tmp_path / "short.toml"
    path.write_text("epochs = 2\n[model.resnet18]\nbatch_size = 64\nepochs = 3\n")

    recipe = load_recipe(str(path))

    assert (recipe.name, recipe.epochs, recipe.for_model("resnet18").batch_size) == ("short", 2, 64)
    assert (recipe.for_model("resnet18").epochs, recipe.for_model("fashioncnn").epochs) == (3, 2)


@pytest.mark.parametrize("field", Hyperparameters.model_fields)
def test_every_training_field_may_differ_by_model(field: str) -> None:
    values = Hyperparameters(**OTHERS)
    own = Hyperparameters.model_validate({field: getattr(values, field)})

    recipe = Recipe(name="x", model={"resnet18": own})

    assert getattr(recipe.for_model("resnet18"), field) == getattr(values, field) != getattr(recipe, field)
    assert recipe.for_model("fashioncnn") == Hyperparameters()


def test_a_table_may_say_for_a_model_what_the_default_is() -> None:
    recipe = Recipe(name="x", epochs=4, model={"resnet18": Hyperparameters(epochs=10)})

    assert Recipe.model_validate_json(recipe.model_dump_json()).for_model("resnet18").epochs == 10
    assert Recipe.model_validate_json(recipe.model_dump_json(exclude_defaults=True)) == recipe


def test_what_a_run_does_not_train_may_have_no_table(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[model.resnet81]\nepochs = 3\n")

    with pytest.raises(
        InputError, match=r"own\.toml has a table \[model\.resnet81\]\. Expected tables of models that .*"
    ):
        load_recipe(str(path), ["fashioncnn", "resnet18"])
    assert load_recipe(str(path)).for_model("resnet81").epochs == 3


def test_a_run_without_a_model_of_the_study_needs_no_table_for_it(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("epochs = 3\n")

    assert load_recipe(str(path), ["fashioncnn"]).for_model("resnet18").batch_size == 20


def test_files_and_records_from_before_the_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[epochs_by_model]\nresnet18 = 3\na = 2\n[batch_size_by_model]\nresnet18 = 64\n")

    recipe = load_recipe(str(path), ["a", "resnet18"])

    assert [recipe.for_model(name).epochs for name in ("resnet18", "a", "b")] == [3, 2, 10]
    assert recipe.for_model("resnet18").batch_size == 64
    assert recipe == Recipe(
        name="own", model={"resnet18": Hyperparameters(batch_size=64, epochs=3), "a": Hyperparameters(epochs=2)}
    )


def test_the_digest_of_an_earlier_record_is_that_of_its_layout() -> None:
    earlier = Recipe(
        name="swift",
        epochs=4,
        batch_size=128,
        learning_rate=0.006,
        schedule="one-cycle",
        label_smoothing=0.1,
        model={"resnet18": Hyperparameters(epochs=6, batch_size=64)},
    )

    assert earlier.model_dump_json(exclude_defaults=True) == (
        '{"name":"swift","epochs":4,"epochs_by_model":{"resnet18":6},"batch_size":128,'
        '"batch_size_by_model":{"resnet18":64},"learning_rate":0.006,"schedule":"one-cycle","label_smoothing":0.1}'
    )


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("epochs = 2", (100, 20)),
        ("batch_size = 64", (64, 64)),
        ("[model.fashioncnn]\nbatch_size = 50", (50, 20)),
        ("[model.resnet18]\nepochs = 3", (100, 20)),
        ("batch_size = 64\n[model.resnet18]\nbatch_size = 32", (64, 32)),
    ],
)
def test_fields_that_a_recipe_file_leaves_out_are_those_of_the_study(
    tmp_path: Path, text: str, sizes: tuple[int, int]
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)

    recipe = load_recipe(str(path))

    assert (recipe.for_model("fashioncnn").batch_size, recipe.for_model("resnet18").batch_size) == sizes


def test_every_field_of_a_recipe_is_in_the_docs() -> None:
    page = (Path(__file__).parents[1] / "docs" / "recipe.md").read_text(encoding="utf-8")

    assert [name for name in Recipe.model_fields if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "epochs = 0",
            r"field 'epochs' is 0\. Expected a number greater than or equal to 1\. Correct or remove 'epochs'\.",
        ),
        ("epochs = 'ten'", r"field 'epochs' is 'ten'\. Expected a valid integer\."),
        ("epocs = 3", r"has the unknown field 'epocs'\. Expected only the fields epochs, .*\. Correct or"),
        (
            "schedule = 'linear'",
            r"field 'schedule' is 'linear'\. Expected 'constant', 'step', 'cosine' or 'one-cycle'\.",
        ),
        ("optimizer = 'lion'", r"field 'optimizer' is 'lion'\. Expected 'adam', 'adamw' or 'sgd'\."),
        ("momentum = 0.9", r"has momentum 0\.9 with the optimizer 'adam'\. Expected momentum with the optimizer 'sgd'"),
        ("[model.a]\nmomentum = 0.9", r"has momentum 0\.9 with the optimizer 'adam' for a\."),
        ("warmup_fraction = 1", r"field 'warmup_fraction' is 1\. Expected a number less than 1"),
        ("[augment]\nflop = true", r"unknown field 'augment\.flop'\. Expected only the fields flip, shift, erase\."),
        ("augment = {shift = -1}", r"field 'augment\.shift' is -1"),
        ("freeze = 'all'", r"field 'freeze' is 'all'\. Expected 'all but head'"),
        (
            "normalize = 'cifar'",
            r"field 'normalize' is 'cifar'\. Expected \"imagenet\", or a list of means and one of ",
        ),
        ("normalize = [[0.5], [0]]", r"field 'normalize' is \[\[0\.5\], \[0\]\]\. Expected \"imagenet\", or a list"),
        ("normalize = [[nan], [1]]", r"field 'normalize' is"),
        ("name = ''", r"field 'name' is ''\. Expected at least 1 character\."),
        ("batch_size = 1", r"field 'batch_size' is 1\. Expected a number greater than or equal to 2"),
        ("model = 3", r"field 'model' is 3"),
        ("[model]\nresnet18 = 3", r"field 'model\.resnet18' is 3"),
        ("[model.resnet18]\nbatch_size = 1", r"field 'model\.resnet18\.batch_size' is 1\. Expected a number greater"),
        (
            "[model.resnet18]\ntest_images = 9",
            r"unknown field 'model\.resnet18\.test_images'\. .* epochs, batch_size, l",
        ),
        ("gamma = nan", r"field 'gamma' is nan"),
        ("batch_size_by_model = 3", r"has the unknown field 'batch_size_by_model'"),
        ("[batch_size_by_model]\nresnet18 = -1", r"field 'model\.resnet18\.batch_size' is -1"),
        ("epochs = ", r"is not valid TOML \(Invalid value .*\)\. Expected lines such as epochs = 10"),
        ("a = " + "[" * 5_000, r"is not valid TOML"),
        ("#" * 40_000, r"\(40,000 bytes or more, .*\)\. Expected a TOML file of at most 32,768 bytes"),
        ("epochs = " + "9" * 5_000, r"is not valid TOML \(Exceeds the limit"),
        ("epochs = 0x" + "f" * 5_000, r"field 'epochs' is a number of too many digits"),
        ("epochs." + ".".join("a" * 4_000) + " = 1", r"field 'epochs' is nested too deeply"),
        ('name = "a\\u001b[2J"', r"field 'name' is 'a\\x1b\[2J'\. Expected "),
        ('[model."\\u202e"]\nepochs = 2', r"field 'model\."),
        ("[epochs_by_model]\na = 2\n[model]\na = 3", r"the unknown field 'epochs_by_model'|field 'model\.a' is 3"),
    ],
)
def test_an_invalid_recipe_is_rejected_with_the_name_of_the_field(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)

    with pytest.raises(InputError, match=message):
        load_recipe(str(path))


def test_a_binary_recipe_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(InputError, match="is not valid TOML"):
        load_recipe(str(path))


def test_a_missing_recipe_file_is_rejected() -> None:
    with pytest.raises(InputError, match=r"Recipe file nowhere\.toml cannot be read \(No such file"):
        load_recipe("nowhere.toml")


def test_an_unknown_recipe_is_rejected_with_a_list_of_recipes() -> None:
    with pytest.raises(InputError, match=r"Unknown recipe 'fast'\. Expected one of study, swift, smoke or the path"):
        load_recipe("fast")


@pytest.mark.parametrize("name", RECIPES)
def test_built_in_recipes_have_their_own_names(name: str) -> None:
    assert RECIPES[name].name == name


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_a_folder_or_an_endless_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "endless.toml").symlink_to("/dev/zero")

    for name in ("pipe", "folder", "endless"):
        with pytest.raises(InputError, match=rf"{name}\.toml cannot be read \(not a regular file\)"):
            load_recipe(str(tmp_path / f"{name}.toml"))
