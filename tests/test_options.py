"""Each option exists once: the commands, pytest and README's table have its default and its help, and no others."""

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import typer
from commands import call
from typer.testing import CliRunner

from fashionbench import cli
from fashionbench.catalogue import CATALOGUE, DATASETS, STUDY_MODELS
from fashionbench.data.published import NAMED
from fashionbench.errors import InputError
from fashionbench.models import registry
from fashionbench.models.baselines import BASELINES
from fashionbench.options.commands import (
    COMPARE_OPTIONS,
    DATA_OPTIONS,
    DEVICES_OPTIONS,
    FAIL_IF,
    MODELS_OPTIONS,
    REPORT_OPTIONS,
    SHAPE,
    TUNE_OPTIONS,
)
from fashionbench.options.gate import Gate
from fashionbench.options.option import Option
from fashionbench.options.parsing import EVERY_DEVICE
from fashionbench.options.run import (
    CLUSTER_OPTIONS,
    DEVICES,
    ENGINE,
    EXECUTION,
    FORMAT,
    LIMIT,
    MARGIN,
    PRECISION,
    PRICE,
    PRICE_MONEY,
    PRICE_PER_HOUR,
    RECIPE,
    RUN_OPTIONS,
    SEEDS,
    UNTIL_DECIDED,
)
from fashionbench.recipe.fields import RECIPES
from fashionbench.running.plan import RunOptions, make_plan

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "run": (*RUN_OPTIONS, *CLUSTER_OPTIONS),
    "report": REPORT_OPTIONS,
    "compare": COMPARE_OPTIONS,
    "data": DATA_OPTIONS,
    "devices": DEVICES_OPTIONS,
    "models": MODELS_OPTIONS,
    "tune": TUNE_OPTIONS,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_its_options_with_their_defaults_and_help(command: str) -> None:
    parameters = {
        each.name: each
        for each in typer.main.get_command(cli.app).commands[command].params  # type: ignore[attr-defined]  # a group
        if each.param_type_name == "option"
    }

    assert [*parameters] == [option.name for option in COMMANDS[command]]
    for option in COMMANDS[command]:
        parameter = parameters[option.name]
        assert parameter.opts == [option.flag]
        assert (parameter.default or "", parameter.help, parameter.is_flag) == (
            option.default,
            option.help,
            option.is_flag,
        )


def test_the_help_shows_neither_a_value_nor_a_default_of_a_flag() -> None:
    shown = CliRunner().invoke(cli.app, ["run", "--help"]).stdout

    assert "--self-check" in shown
    assert not re.search(r"--(fresh|self-check) +[<A-Z]", shown)
    assert "(no)" not in shown


class Parser:
    """Stands for pytest's parser, and keeps what is added to it."""

    def __init__(self) -> None:
        self.added: dict[str, dict[str, Any]] = {}

    def getgroup(self, _: str) -> "Parser":
        return self

    def addoption(self, flag: str, **how: Any) -> None:
        self.added[flag] = how


def options_of_pytest() -> dict[str, dict[str, Any]]:
    spec = spec_from_file_location("bench_conftest", ROOT / "bench" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    conftest = module_from_spec(spec)
    spec.loader.exec_module(conftest)
    parser = Parser()
    conftest.pytest_addoption(parser)
    return parser.added


def test_pytest_has_the_options_of_a_run_with_their_defaults_and_help() -> None:
    added = options_of_pytest()

    assert [*added] == [option.flag for option in RUN_OPTIONS]
    for option in RUN_OPTIONS:
        assert added[option.flag]["help"] == f"{option.help} (default: {option.shown_default})"
        assert added[option.flag].get("default", "") == option.default


def plain(cell: str) -> str:
    """Return a cell of a Markdown table without links and code marks."""
    return re.sub(r"\[(.*?)\]\(.*?\)", r"\1", cell).replace("`", "").strip()


def options_in(path: Path) -> list[tuple[str, ...]]:
    """Return the rows of the table below the heading Options: option, meaning and default."""
    section = path.read_text(encoding="utf-8").partition("## Options\n")[2].partition("\n#")[0]
    return [
        tuple(plain(cell) for cell in line.strip("|").split(" | "))
        for line in section.splitlines()
        if line.startswith("| `--")
    ]


def test_the_texts_describe_each_option_of_a_run_with_its_default() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    described = {each: (each.flag, each.help, each.shown_default) for each in COMMANDS["run"]}

    assert options_in(ROOT / "README.md") == [described[each] for each in described if each.group != "Data"]
    assert options_in(ROOT / "docs" / "own-data.md") == [described[each] for each in described if each.group == "Data"]
    assert f"{MARGIN.default} percentage points unless `--margin` changes it" in readme.replace("\n", " ")


def test_the_names_in_help_are_the_names_that_there_are() -> None:
    assert RECIPE.help.startswith(f"how to train: {', '.join(RECIPES)}, or ")
    assert {*registry.MODELS, *BASELINES} == {*CATALOGUE}
    assert {"fashion-mnist", *NAMED, "digits"} == {*DATASETS}


def test_another_model_in_the_registry_changes_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        registry, "MODELS", MappingProxyType({"mine": registry.MODELS["fashioncnn"], **registry.MODELS})
    )

    plan = make_plan(RunOptions.read({}))

    assert plan.models == STUDY_MODELS
    assert options_of_pytest()["--models"]["default"] == ",".join(STUDY_MODELS)


@pytest.mark.parametrize(
    ("text", "seeds"), [("1", (0,)), ("3", (0, 1, 2)), ("0,1,2", (0, 1, 2)), ("7,", (7,)), (" 5 , 5,6", (5, 6))]
)
def test_a_number_says_how_many_seeds_and_a_list_says_which(text: str, seeds: tuple[int, ...]) -> None:
    assert SEEDS.parse(text) == seeds


@pytest.mark.parametrize(
    ("text", "found"),
    [
        *((text, "unknown seeds '") for text in ("", "x", "-1", "1.5", "0,,1", "\u0663", "1" * 20_000)),
        *((text, "seeds '.*' are out of range") for text in ("0", "1001", "4294967296,", "9" * 50)),
    ],
)
def test_text_that_names_no_seeds_is_refused(text: str, found: str) -> None:
    with pytest.raises(InputError) as refused:
        SEEDS.parse(text)

    assert re.match(found, refused.value.found)
    assert len(str(refused.value)) < 250
    assert "--seeds" in refused.value.remedy


@pytest.mark.parametrize(
    ("text", "names"),
    [("all", EVERY_DEVICE), ("cpu, cpu", ("cpu",)), ("cuda:0,cuda:1,cuda", ("cuda", "cuda:1")), ("mps", ("mps",))],
)
def test_a_device_that_is_named_twice_is_read_once(text: str, names: tuple[str, ...]) -> None:
    assert DEVICES.parse(text) == names


@pytest.mark.parametrize("text", ["gpu", "", "cuda:", "cpu:0", "cuda:one", "cuda:00", "cuda:٣", "tpu", "cpu,all"])
def test_a_name_of_no_device_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refused:
        DEVICES.parse(text)

    assert refused.value.found == f"unknown device '{text.removeprefix('cpu,')}'"
    assert refused.value.expected == "cpu, cuda, cuda:N, mps, xpu, xpu:N or all"


def test_a_wrong_option_is_refused_before_anything_heavy_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fashionbench.running.process.server", None)  # its import would fail

    assert call("run", "--seeds", "many") == 2


def test_a_recipe_that_is_not_there_is_refused_before_torch_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fashionbench.devices.libraries", None)  # its import would fail

    assert call("run", "--recipe", "nosuch") == 2


@pytest.mark.parametrize("option", [MARGIN, PRICE, PRICE_MONEY, LIMIT])
@pytest.mark.parametrize("text", ["x", "-1", "nan", "inf", "1,5", "1e400"])
def test_text_that_is_no_number_is_refused(option: Option[Any], text: str) -> None:
    with pytest.raises(InputError) as refused:
        option.parse(text)

    assert refused.value.found == f"invalid {option.name.replace('_', '-')} '{text}'"
    assert refused.value.expected.startswith(f"a number, {'more than 0' if option is LIMIT else '0 or more'}, such")
    assert option.flag in refused.value.remedy


def test_a_limit_of_no_time_is_refused() -> None:
    assert LIMIT.parse("0.1") == 0.1
    with pytest.raises(InputError, match="more than 0"):
        LIMIT.parse("0")


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        (EXECUTION, "slow", "one of fast, plain"),
        (PRECISION, "fp8", "one of fp32, bf16, tf32"),
        (ENGINE, "slurm", "one of local, ray"),
        (FORMAT, "docx", "one or more of html, pdf, md, json"),
    ],
)
def test_an_unknown_word_is_refused_with_those_that_there_are(option: Option[Any], text: str, expected: str) -> None:
    with pytest.raises(InputError) as refused:
        option.parse(text)

    assert refused.value.found == f"unknown {option.name} '{text}'"
    assert refused.value.expected == expected
    assert option.flag in refused.value.remedy


@pytest.mark.parametrize("text", ["0", "-3", "many", "1001", "9" * 30])
def test_text_that_is_no_number_of_seeds_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refused:
        UNTIL_DECIDED.parse(text)

    assert refused.value.found == f"invalid until-decided '{text}'"
    assert refused.value.expected == "a number from 1 to 1,000, such as 20"


def test_prices_are_read_by_device() -> None:
    assert PRICE_PER_HOUR.parse("cuda=1.20, cpu=0") == {"cuda": 1.2, "cpu": 0.0}
    assert PRICE_PER_HOUR.parse("") == {}


@pytest.mark.parametrize("text", ["cpu", "cpu=-1", "cpu=1,", "cpu=much"])
def test_text_that_is_no_price_per_hour_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refused:
        PRICE_PER_HOUR.parse(text)

    assert refused.value.found.startswith("invalid price-per-hour '")
    assert refused.value.expected == "a device and a number, 0 or more, such as cpu=0.05"


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("slower=10%", Gate(slower=0.1)),
        ("worse=0.5pp", Gate(worse=0.005)),
        ("verdict", Gate(verdict=True)),
        ("slower=5%|worse=1pp, verdict", Gate(slower=0.05, worse=0.01, verdict=True)),
        ("", None),
    ],
)
def test_the_conditions_of_a_gate_are_read(text: str, gate: Gate | None) -> None:
    assert FAIL_IF.parse(text) == gate


@pytest.mark.parametrize("text", [",", "slower", "slower=10", "worse=1%", "slower=-1%", "faster=1%"])
def test_an_unknown_condition_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refused:
        FAIL_IF.parse(text)

    assert refused.value.found == f"unknown condition '{text.strip(',')}'"
    assert refused.value.expected == "slower=10%, worse=0.5pp or verdict"
    assert "--fail-if" in refused.value.remedy


def test_an_option_that_is_not_given_has_its_default_and_an_empty_one_is_unset() -> None:
    assert RunOptions.read({}) == RunOptions.read({option.name: option.default for option in COMMANDS["run"]})
    assert RunOptions.read({"price": "", "data": "", "limit": ""}) == RunOptions.read({})


def test_shapes_are_read_and_refused_in_a_line() -> None:
    assert SHAPE.read({}) == ((1, 28, 28),)
    assert SHAPE.read({"shape": "1x8x8,3x64x48"}) == ((1, 8, 8), (3, 64, 48))
    for wrong in ("", "28x28", "1x0x28", "1x28x28x28", "axbxc"):
        with pytest.raises(InputError, match=f"Invalid shape '{wrong}'\\. Expected channels x height x width"):
            SHAPE.read({"shape": wrong})


def test_the_command_models_lists_the_networks_that_it_is_given() -> None:
    listed = CliRunner().invoke(cli.app, ["models", "fashioncnn", "--shape", "1x28x28"])

    assert listed.exit_code == 0
    assert listed.stdout.splitlines()[2].startswith("| fashioncnn |")
