"""The process that leads a run lists accelerators and asks for their names; it does nothing on them."""

import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from stand_in_device import NAME, StandIn

from fashionbench.devices.device import select_devices
from fashionbench.recipe.file import load_recipe
from fashionbench.running import preflight
from fashionbench.running.engine import measure_peak_of
from fashionbench.running.plan import Plan
from fashionbench.running.preflight import check_fit
from fashionbench.running.process.call import CallFailedError
from fashionbench.running.session import open_run


def test_opening_a_run_only_lists_the_device_and_keeps_what_was_chosen_for_it(
    device: StandIn, sample_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, said = Counter[str](), io.StringIO()

    def call(_: float, function: Callable[..., object], *__: object) -> object:
        """Answer for another process."""
        elsewhere[function.__name__] += 1
        if function is check_fit:
            return ()
        if function.__name__ == "_try_method":
            return 0.001 * elsewhere["_try_method"]
        raise CallFailedError("not in this process")

    monkeypatch.setattr(preflight, "call_within", call)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    recipe = load_recipe(str(sample_folder / "tiny.toml"), ["fashioncnn"])
    plan = Plan(
        recipe=recipe,
        models=("fashioncnn",),
        devices=select_devices((NAME,)),
        seeds=(0, 1),
    )
    trials = []
    for _ in range(2):
        console = Console(file=said, width=200)
        with open_run(
            plan, plan.cases(), data=sample_folder, out=tmp_path, command="", environ={}, console=console
        ) as run:
            measure_peak_of(run, run.plan.devices[0])
            trials += [case.trial for case in run.plan.cases()]

    assert elsewhere == {
        "check_fit": 2,
        "_find_objection": 2,
        "_try_method": 4,
        "estimate_seconds": 2,
        "measure_peak": 2,
    }
    assert ": contiguous, 1.00 ms a step (channels-last 2.00 ms; " in said.getvalue()
    assert said.getvalue().count("Trying how steps of fashioncnn on standin, batch ") == 1
    assert "fails on standin: not in this process" in said.getvalue()
    assert len(trials) == 4
    assert {str(trial) for trial in trials} == {str(trials[0])}
    assert device.asked == {}
