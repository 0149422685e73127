"""Options become cases in a fair order; what cannot be meant is refused by name."""

import pytest

from fashionbench.errors import InputError
from fashionbench.running.plan import DEFAULTS, Plan, make_plan, parse_seeds


def plan_of(**options: str) -> Plan:
    return make_plan(**{**DEFAULTS, "recipe": "smoke", "devices": "cpu", **options})


def test_models_alternate_and_turn_round_with_every_seed() -> None:
    plan = plan_of(seeds="4")

    order = [(case.seed, case.model) for case in plan.cases()]

    assert order == [
        (0, "fashioncnn"),
        (0, "resnet18"),
        (1, "resnet18"),
        (1, "fashioncnn"),
        (2, "fashioncnn"),
        (2, "resnet18"),
        (3, "resnet18"),
        (3, "fashioncnn"),
    ]


def test_defaults_are_the_study_with_both_models_and_one_seed() -> None:
    plan = make_plan(**DEFAULTS)

    assert plan.recipe.name == "study"
    assert plan.models == ("fashioncnn", "resnet18")
    assert plan.seeds == (0,)
    assert plan.devices[0].word == "cpu"
    assert plan.margin_pp == 0.5
    assert plan.price_minutes_per_pp is None


def test_cases_have_names_of_their_own() -> None:
    plan = plan_of(models="fashioncnn", seeds="7,9")

    assert [case.name for case in plan.cases()] == ["fashioncnn-cpu-7", "fashioncnn-cpu-9"]


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"Unknown model 'vgg'\. Expected one of fashioncnn, resnet18, dummy, "):
        plan_of(models="fashioncnn,vgg")


@pytest.mark.parametrize(
    ("text", "seeds"), [("1", (0,)), ("3", (0, 1, 2)), ("0,1,2", (0, 1, 2)), ("7,", (7,)), (" 5 , 5,6", (5, 6))]
)
def test_a_number_says_how_many_and_a_list_says_which(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1.5", "0", "1001", "0,,1", "4294967296,", "9" * 50, "\u0663", "1" * 20_000]
)
def test_seeds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"Seeds .*\. Expected .*\. Mend the value of --seeds"):
        parse_seeds(text)


def test_margin_and_price_are_read_as_numbers() -> None:
    plan = plan_of(margin="1", price="2.5")

    assert (plan.margin_pp, plan.price_minutes_per_pp) == (1, 2.5)


@pytest.mark.parametrize("name", ["margin", "price"])
@pytest.mark.parametrize("text", ["x", "-1", "nan", "inf", "1,5"])
def test_amounts_that_are_none_are_refused(name: str, text: str) -> None:
    with pytest.raises(
        InputError, match=rf"{name.capitalize()} '{text}'\. Expected a number, 0 or more\. Mend the value of --{name}"
    ):
        plan_of(**{name: text})


def test_execution_and_precision_reach_every_case() -> None:
    plan = plan_of(execution="plain", precision="bf16")

    assert {(case.execution, case.precision) for case in plan.cases()} == {("plain", "bf16")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"execution": "slow"},
            r"Unknown execution 'slow'\. Expected one of fast, plain\. Mend the value of --execution",
        ),
        ({"precision": "fp8"}, r"Unknown precision 'fp8'\. Expected one of fp32, bf16, tf32\. Mend"),
        ({"precision": "tf32"}, r"Precision 'tf32' on cpu\. Expected fp32 or bf16 there"),
    ],
)
def test_executions_and_precisions_that_are_none_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_of(**options)
