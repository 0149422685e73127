"""Options become cases in a fair order; options that exclude each other are refused by name."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fashionbench.devices.device import Device
from fashionbench.errors import InputError
from fashionbench.judging.prices import Money
from fashionbench.judging.rule import Thresholds
from fashionbench.running.plan import Plan, RunOptions, make_plan


def plan_of(**options: str) -> Plan:
    return make_plan(RunOptions.read({"recipe": "smoke", "devices": "cpu", **options}))


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
    plan = make_plan(RunOptions.read({}))

    assert plan.recipe.name == "study"
    assert plan.models == ("fashioncnn", "resnet18")
    assert plan.seeds == (0,)
    assert plan.devices[0].word == "cpu"
    assert plan.thresholds == Thresholds(margin=0.005, price_minutes_per_pp=None)


def test_cases_have_names_of_their_own() -> None:
    plan = plan_of(models="fashioncnn", seeds="7,9")

    assert [case.name for case in plan.cases()] == ["fashioncnn on cpu, seed 7", "fashioncnn on cpu, seed 9"]


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError) as refused:
        plan_of(models="fashioncnn,vgg")

    assert refused.value.found == "unknown model 'vgg'"
    assert refused.value.expected.startswith("one of fashioncnn, resnet18, dummy, ")


def test_margin_and_prices_are_the_thresholds_of_the_verdict() -> None:
    plan = plan_of(margin="1", price="2.5", price_per_hour="cpu=0.60", price_money="0.10")

    assert plan.thresholds == Thresholds(
        margin=0.01, price_minutes_per_pp=2.5, money=Money(per_hour={"cpu": 0.6}, per_pp=0.1)
    )


def test_execution_and_precision_reach_every_case() -> None:
    plan = plan_of(execution="plain", precision="bf16")

    assert {(case.execution, case.precision) for case in plan.cases()} == {("plain", "bf16")}


@pytest.mark.parametrize(
    ("recipe", "asked", "bf16", "found", "described"),
    [
        ("smoke", {}, True, "fp32", "A CPU"),
        ("swift", {}, True, "bf16", "A CPU, in bf16"),
        ("swift", {}, False, "fp32", "A CPU, in fp32: PyTorch knows of no instructions for bf16"),
        ("swift", {"precision": "fp32"}, True, "fp32", "A CPU"),
        ("smoke", {"precision": "bf16"}, False, "bf16", "A CPU, in bf16"),
    ],
)
def test_a_recipe_asks_for_bf16_where_a_device_has_instructions_for_it(
    recipe: str, asked: dict[str, str], bf16: bool, found: str, described: str
) -> None:
    device = Device(word="cpu", name="A CPU", bf16=bf16)

    plan = replace(plan_of(recipe=recipe, **asked), devices=(device,))

    assert {case.precision for case in plan.cases()} == {found}
    assert plan.describe(device) == described


def test_each_device_has_its_own_arithmetic() -> None:
    slow, fast = (Device(word="cpu", name="slow"), Device(word="cuda", name="fast", threads=0, bf16=True))

    plan = replace(plan_of(recipe="swift", models="fashioncnn,dummy"), devices=(slow, fast))

    assert [(case.model, case.device.name, case.precision) for case in plan.cases()] == [
        ("fashioncnn", "slow", "fp32"),
        ("dummy", "slow", "fp32"),
        ("fashioncnn", "fast", "bf16"),
    ]


def test_an_absent_device_is_described_as_such() -> None:
    plan = plan_of(recipe="swift", devices="cuda:63")

    assert plan.describe(plan.devices[0]).startswith("absent: not found by torch ")


def test_tf32_is_refused_on_a_device_that_does_not_compute_in_it() -> None:
    with pytest.raises(InputError) as refused:
        plan_of(precision="tf32")

    assert refused.value.found == "precision 'tf32' cannot be used on cpu"
    assert refused.value.expected.startswith("fp32 or bf16 there")


@pytest.mark.parametrize(
    ("options", "looks", "seeds"),
    [
        ({"until_decided": "20"}, (3, 5, 8, 12, 20), 20),
        ({"until_decided": "9", "seeds": "6"}, (6, 9), 9),
        ({"until_decided": "3"}, (3,), 3),
        ({"until_decided": "4"}, (3, 4), 4),
        ({"seeds": "2"}, (), 2),
    ],
)
def test_interim_analyses_have_half_as_many_seeds_more_each_time(
    options: dict[str, str], looks: tuple[int, ...], seeds: int
) -> None:
    plan = plan_of(**options)

    assert plan.looks == looks
    assert plan.seeds == tuple(range(seeds))


def test_seeds_are_added_to_those_that_were_named() -> None:
    assert plan_of(seeds="1,7", until_decided="4").seeds == (1, 7, 0, 2)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"until_decided": "2"}, "--until-decided 2 is too small"),
        ({"until_decided": "4", "seeds": "5"}, "--until-decided 4 is too small"),
        ({"until_decided": "4", "models": "dummy"}, "--until-decided cannot be used with dummy alone"),
    ],
)
def test_a_run_that_can_never_be_decided_is_refused(options: dict[str, str], found: str) -> None:
    with pytest.raises(InputError) as refused:
        plan_of(**options)

    assert refused.value.found == found


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os\nos._exit(7)", r"its process ended without a result \(exit status 7\)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("class Odd(BaseException): ...\nraise Odd('so')", "Odd: so"),
        ("import not_installed_here", "ModuleNotFoundError: No module named 'not_installed_here'"),
        ("def make(", "SyntaxError: "),
    ],
)
def test_a_users_module_is_imported_elsewhere_and_what_ends_that_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    (tmp_path / "own_of_a_plan.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(InputError, match=rf"Model 'own_of_a_plan:Net' cannot be loaded \({reason}"):
        plan_of(models="own_of_a_plan:Net")

    assert "own_of_a_plan" not in sys.modules
