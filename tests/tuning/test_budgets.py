"""A run with budgets: as many epochs as fit, a record of those that do not, and the same epochs when it is resumed."""

import json
from pathlib import Path

import pytest
from commands import call

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device
from fashionbench.errors import InputError
from fashionbench.recipe.fields import Recipe
from fashionbench.records.reading import read_manifest, read_records
from fashionbench.records.record import TrainingRecord
from fashionbench.running.plan import Plan, RunOptions, make_plan
from fashionbench.running.process.call import CallFailedError
from fashionbench.training.case import Case
from fashionbench.tuning import budgets
from fashionbench.tuning.budgets import plan_budgets

SECONDS = {"fashioncnn": 8.0, "resnet18": 25.0}
"""Of an epoch."""


@pytest.fixture
def estimated(monkeypatch: pytest.MonkeyPatch, sample: Dataset) -> list[str]:
    """Return the models that were timed; none is trained for that."""
    timed = []

    def answer(_cluster: object, _plan: Plan, _device: Device, _function: object, case: Case, _data: Dataset) -> float:
        timed.append(case.model)
        if SECONDS[case.model] == 0:
            raise CallFailedError("out of memory")
        return SECONDS[case.model] * case.hyperparameters.epochs

    monkeypatch.setattr(budgets, "call_where", answer)
    monkeypatch.setattr(budgets, "load_images", lambda *_: sample)
    return timed


def asked_for(out: Path, **options: str) -> RunOptions:
    return RunOptions.read({"recipe": "swift", "devices": "cpu", "budgets": "0.2,1,4", "out": str(out), **options})


def planned(out: Path, **options: str) -> Plan:
    asked = asked_for(out, **options)
    return plan_budgets(make_plan(asked), asked, {}, lambda _: None)


@pytest.mark.usefixtures("estimated")
def test_each_model_gets_the_epochs_that_fit_and_none_is_told(tmp_path: Path) -> None:
    asked, said = asked_for(tmp_path), list[str]()

    plan = plan_budgets(make_plan(asked), asked, {}, said.append)

    cases = plan.cases()
    assert [(case.key, case.hyperparameters.epochs, bool(case.absence)) for case in cases] == [
        ("fashioncnn-cpu-0-0.2min", 1, False),
        ("resnet18-cpu-0-0.2min", 1, True),
        ("fashioncnn-cpu-0-1min", 7, False),
        ("resnet18-cpu-0-1min", 2, False),
        ("fashioncnn-cpu-0-4min", 30, False),
        ("resnet18-cpu-0-4min", 9, False),
    ]
    assert said[0].replace("\N{NO-BREAK SPACE}", " ") == (
        "Budget of 0.2 min on cpu: FashionCNN 1 epoch; ResNet18 is not trained, as an epoch takes about 25.0 s, longer "
        "than the budget of 0.2 min"
    )
    assert cases[3].hyperparameters.batch_size == plan.recipe.for_model("resnet18").batch_size


@pytest.mark.usefixtures("estimated")
def test_the_models_alternate_and_turn_round_with_every_seed(tmp_path: Path) -> None:
    order = [case.key for case in planned(tmp_path, seeds="2", budgets="1").cases()]

    assert order == ["fashioncnn-cpu-0-1min", "resnet18-cpu-0-1min", "resnet18-cpu-1-1min", "fashioncnn-cpu-1-1min"]


def test_a_model_is_timed_once_for_all_budgets_and_seeds(tmp_path: Path, estimated: list[str]) -> None:
    planned(tmp_path, seeds="3")

    assert estimated == ["fashioncnn", "resnet18"]


def test_without_budgets_nothing_is_timed(tmp_path: Path, estimated: list[str]) -> None:
    assert planned(tmp_path, budgets="").arms == {}
    assert estimated == []


@pytest.mark.usefixtures("estimated")
def test_a_device_that_is_not_there_has_its_cases_without_estimates(tmp_path: Path) -> None:
    plan = planned(tmp_path, devices="cuda:77")

    assert plan.estimates == ()
    assert all("not found" in case.absence for case in plan.cases())
    assert len(plan.cases()) == 6


@pytest.mark.usefixtures("estimated")
def test_a_classical_baseline_is_fitted_once_whatever_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SECONDS, "dummy", 0.001)

    asked, said = asked_for(tmp_path, models="dummy,fashioncnn", recipe="swift"), list[str]()
    plan = plan_budgets(make_plan(asked), asked, {}, said.append)

    assert said[0].endswith("Most frequent class fitted once; FashionCNN 1 epoch")
    assert {each.hyperparameters.epochs for each in plan.cases() if each.model == "dummy"} == {1}
    assert plan.estimates[0].seconds == pytest.approx(0.004)  # the whole fit, where a network has four epochs
    assert not any(case.absence for case in plan.cases())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "study"}, r"--budgets with the recipe study, which lowers .* Add --recipe swift"),
        ({"until_decided": "5"}, r"--budgets cannot be combined with --until-decided"),
        ({"budgets": "1,zero"}, r"Invalid budgets '1,zero'.*such as 1,2,4,8"),
        ({"budgets": "0,1"}, r"Invalid budgets '0,1'"),
        ({"budgets": "100001"}, r"up to 20 numbers of minutes above 0 and up to 100,000"),
        ({"budgets": ",".join(map(str, range(1, 30)))}, r"Invalid budgets .* up to 20 numbers"),
    ],
)
@pytest.mark.usefixtures("estimated")
def test_budgets_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        planned(tmp_path, **options)


@pytest.mark.usefixtures("estimated")
def test_budgets_that_are_shown_alike_are_one(tmp_path: Path) -> None:
    assert len(planned(tmp_path, budgets="1,1.0000001,2").cases()) == 4


@pytest.mark.usefixtures("estimated")
def test_a_model_that_cannot_be_timed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECONDS, "fashioncnn", 0.0)

    with pytest.raises(InputError, match=r"Model 'fashioncnn' cannot be timed \(out of memory\)"):
        planned(tmp_path)


def test_a_run_is_resumed_with_its_epochs_and_writes_a_record_of_what_does_not_fit(
    tmp_path: Path, sample_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cycle.toml").write_text("schedule = 'one-cycle'\nepochs = 1\nis_result = false\n")
    options = (
        *("--recipe", tmp_path / "cycle.toml", "--data", sample_folder, "--devices", "cpu", "--models", "fashioncnn"),
        *("--budgets", "0.001,0.05", "--format", "json", "--out", tmp_path / "out"),
    )
    timed = []

    def answer(*given: object) -> float:
        timed.append(given)
        return 1.0

    with monkeypatch.context() as patched:
        patched.setattr(budgets, "call_where", answer)
        assert call("run", *options) == 0
    assert call("run", *(each for each in options if each not in {"--budgets", "0.001,0.05"})) == 0
    assert call("run", *options) == 0  # measured again, an epoch would take much less than a second

    said = capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ")
    assert len(timed) == 1
    assert said.count("Budget of 0.05 min on cpu: FashionCNN 3 epochs") == 2
    assert "(kept from an earlier run)" in said
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert [(each.model, each.device, each.seconds) for each in manifest.estimates] == [("fashioncnn", "cpu", 1.0)]
    records = [each for each in read_records([tmp_path / "out"]) if isinstance(each, TrainingRecord)]
    found = {each.recipe.budget_minutes: each for each in records}
    assert found[0.001].status == "absent"
    assert found[0.001].reason.startswith("an epoch takes about 1.0")
    assert found[0.05].result is not None
    assert len(found[0.05].result.epoch_seconds) == 3


def test_a_damaged_manifest_has_the_epochs_estimated_again(tmp_path: Path, estimated: list[str]) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "run.json").write_text("{")
    asked, said = asked_for(tmp_path), list[str]()

    plan_budgets(make_plan(asked), asked, {}, said.append)

    assert said[0].startswith("The epochs are estimated again: file ")
    assert estimated == ["fashioncnn", "resnet18"]


def test_the_label_of_a_recipe_has_its_budget_and_its_json_is_read_back() -> None:
    recipe = Recipe(name="swift", budget_minutes=0.5)

    assert (recipe.label, Recipe(name="swift").label) == ("swift, 0.5 min", "swift")
    assert Recipe.model_validate(json.loads(recipe.model_dump_json())) == recipe
