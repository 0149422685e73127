"""Recipes are the study's by default, validated, and their errors name the field."""

from pathlib import Path

import pytest

from fashionbench.errors import InputError
from fashionbench.recipe import RECIPES, Recipe, load_recipe


def test_study_recipe_is_the_studys() -> None:
    study = load_recipe("study")

    assert study.batch_size_for("resnet18") == 20
    assert study.batch_size_for("fashioncnn") == 100
    assert (study.learning_rate, study.step_epochs, study.gamma, study.epochs) == (0.001, 5, 0.1, 10)
    assert study.validation_fraction == 0.25
    assert study.is_result


def test_smoke_recipe_says_that_it_is_no_result() -> None:
    smoke = load_recipe("smoke")

    assert not smoke.is_result
    assert (smoke.train_images, smoke.test_images, smoke.epochs) == (6_000, 1_000, 1)


def test_own_recipe_is_read_and_takes_its_files_name(tmp_path: Path) -> None:
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
def test_what_an_own_recipe_leaves_out_is_as_in_the_study(tmp_path: Path, text: str, sizes: tuple[int, int]) -> None:
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
            r"field 'epochs' is 0\. Expected Input should be greater than or equal to 1\. Mend or remove 'ep",
        ),
        ("epochs = 'ten'", r"field 'epochs' is 'ten'\. Expected Input should be a valid integer"),
        ("epocs = 3", r"field 'epocs' is 3\. Expected Extra inputs are not permitted\. .*fields: name, epochs"),
        ("batch_size_by_model = 3", r"field 'batch_size_by_model' is 3"),
        ("gamma = nan", r"field 'gamma' is nan"),
        ("[batch_size_by_model]\nresnet18 = -1", r"field 'batch_size_by_model.resnet18' is -1"),
        ("epochs = ", r"is no TOML"),
        ("a = " + "[" * 5_000, r"is no TOML"),
        ("#" * 70_000, r"of 70000 bytes\. Expected at most 65536 bytes"),
    ],
)
def test_a_bad_recipe_is_refused_with_its_field_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)

    with pytest.raises(InputError, match=message):
        load_recipe(str(path))


def test_a_recipe_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(InputError, match="is no TOML"):
        load_recipe(str(path))


def test_a_missing_recipe_file_is_refused() -> None:
    with pytest.raises(InputError, match=r"Recipe file nowhere\.toml cannot be read \(No such file"):
        load_recipe("nowhere.toml")


def test_an_unknown_recipe_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"Unknown recipe 'fast'\. Expected one of study, swift, smoke or the path"):
        load_recipe("fast")


@pytest.mark.parametrize("name", RECIPES)
def test_built_in_recipes_bear_their_own_names(name: str) -> None:
    assert RECIPES[name].name == name
