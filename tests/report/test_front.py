"""The first page: card, scope, advice and what would change the verdict."""

import pytest
from synthetic import make_study, make_training
from verdicts import smoke, view_of

from fashionbench.recipe.fields import RECIPES, Augmentation
from fashionbench.report.view import Table


def test_a_significant_gain_has_its_price_on_the_card() -> None:
    view = view_of(make_study(3, gain=0.03), "method")

    assert view.card.state == "WORTH IT"
    assert view.card.tiles[2][0].endswith("min per pp")
    assert [item.choice for item in view.advice] == ["ResNet18", "ResNet18"]


@pytest.mark.parametrize(
    ("gain", "seconds", "reason"),
    [
        (0.0, 1140.0, "no price per point: the gain is not significantly above zero"),
        (0.03, 100.0, "no price per point: ResNet18 takes no extra training time"),
    ],
)
def test_a_card_without_a_price_gives_the_reason(gain: float, seconds: float, reason: str) -> None:
    records = [
        make_training(model, seed=seed, accuracy=accuracy, train_seconds=taken)
        for seed in range(3)
        for model, accuracy, taken in (("fashioncnn", 0.916, 240.0), ("resnet18", 0.916 + gain, seconds))
    ]

    assert view_of(records, "method").card.tiles[2] == ("n/a", reason)


def test_the_first_page_gives_reason_scope_and_what_was_not_tested_and_each_number_once() -> None:
    view = view_of(make_study(3, gain=-0.001, spread=0.001), "method")

    said = [
        *(view.card.sentence, *(text for tile in view.card.tiles for text in tile)),
        *(item.sentence for item in view.advice),
        *view.reasons,
        *view.bullets,
        *(figure.caption for figure in view.figures),
    ]
    once = ("4.8 times", "−0.1,", "0.5 percentage", "4.6 to 5.0", "19.1 vs 4.0", "15.1", "2.46 vs 0.61")
    assert view.card.state == "NOT WORTH IT"
    assert "its accuracy gain lies below the default margin of 0.5 percentage points" in view.card.sentence
    assert view.card.scope == (
        "Applies to: recipe “study” (10 epochs, Adam, batch size 20 for ResNet18 and 100 for FashionCNN, no "
        "augmentation); cpu (Synthetic CPU, 2 threads); 3 seeds. Not tested: equal batch sizes, longer training and an "
        "accelerator."
    )
    assert view.card.tiles[2][1].startswith("as long to predict with ResNet18 as with FashionCNN at batch size 1 (")
    assert "Another recipe (--recipe FILE.toml) or device may change it: neither was tested." in view.bullets[-1]
    assert [" ".join(said).count(each) for each in once] == [1] * len(once)


def test_a_release_is_named_by_its_date() -> None:
    assert view_of(make_study(1), "method").run_description[1] == "Fashion-MNIST (release of 31 Aug 2017)"


def test_the_scope_names_the_optimizer_and_the_augmentation_of_the_recipe() -> None:
    own = RECIPES["study"].model_copy(update={"optimizer": "sgd", "augment": Augmentation(flip=True)})

    scope = view_of([make_training(model, recipe=own) for model in ("fashioncnn", "resnet18")], "method").card.scope

    assert "10 epochs, SGD, batch size 20 for ResNet18 and 100 for FashionCNN, augmentation)" in scope


def test_a_run_that_only_checks_an_installation_gives_no_verdict_and_no_advice() -> None:
    view = view_of(smoke(), "cost", "claims")

    tables = [block for section in view.sections for block in section.blocks if isinstance(block, Table)]
    assert view.card.state == "NO VERDICT"
    assert view.card.sentence.startswith("The recipe “smoke” only checks an installation.")
    assert (view.advice, view.reasons, view.bullets, view.explorer) == ((), (), (), None)
    assert [section.key for section in view.sections] == ["cost"]
    assert not any("verdict" in table.header for table in tables)
