"""Recipes have the defaults of the study, are validated, and errors name the field."""

from pathlib import Path

import pytest

from fashionbench.errors import InputError
from fashionbench.recipe import RECIPES, Recipe, load_recipe


def test_the_study_recipe_has_the_values_of_the_study() -> None:
    study = load_recipe("study")

    assert study.batch_size_for("resnet18") == 20
    assert study.batch_size_for("fashioncnn") == 100
    assert (study.learning_rate, study.step_epochs, study.gamma, study.epochs) == (0.001, 5, 0.1, 10)
    assert study.validation_fraction == 0.25
    assert study.is_result


def test_the_smoke_recipe_is_not_a_result() -> None:
    smoke = load_recipe("smoke")

    assert not smoke.is_result
    assert (smoke.train_images, smoke.test_images, smoke.epochs) == (6_000, 1_000, 1)


def test_a_recipe_file_is_read_and_named_after_the_file(tmp_path: Path) -> None:
    path = tmp_path / "short.toml"
    path.write_text("epochs = 2\n[batch_size_by_model]\nresnet18 = 64\n[epochs_by_model]\nresnet18 = 3\n")

    recipe = load_recipe(str(path))

    assert (recipe.name, recipe.epochs, recipe.batch_size_for("resnet18")) == ("short", 2, 64)
    assert (recipe.epochs_for("resnet18"), recipe.epochs_for("fashioncnn")) == (3, 2)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("epochs = 2", (100, 20)),
        ("batch_size = 64", (64, 64)),
        ("[batch_size_by_model]\nfashioncnn = 50", (50, 20)),
        ("batch_size = 64\n[batch_size_by_model]\nresnet18 = 32", (64, 32)),
    ],
)
def test_fields_that_a_recipe_file_leaves_out_are_those_of_the_study(
    tmp_path: Path, text: str, sizes: tuple[int, int]
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)

    recipe = load_recipe(str(path))

    assert (recipe.batch_size_for("fashioncnn"), recipe.batch_size_for("resnet18")) == sizes


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
        ("epocs = 3", r"has the unknown field 'epocs'\. Expected only the fields name, epochs, .*\. Correct or"),
        ("schedule = 'linear'", r"field 'schedule' is 'linear'\. Expected 'step' or 'one-cycle'\."),
        ("name = ''", r"field 'name' is ''\. Expected at least 1 character\."),
        ("batch_size = 1", r"field 'batch_size' is 1\. Expected a number greater than or equal to 2"),
        ("batch_size_by_model = 3", r"field 'batch_size_by_model' is 3"),
        ("gamma = nan", r"field 'gamma' is nan"),
        ("[batch_size_by_model]\nresnet18 = -1", r"field 'batch_size_by_model.resnet18' is -1"),
        ("epochs = ", r"is not valid TOML \(Invalid value .*\)\. Expected lines such as epochs = 10"),
        ("a = " + "[" * 5_000, r"is not valid TOML"),
        ("#" * 70_000, r"has 70,000 bytes\. Expected at most 65,536 bytes"),
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
