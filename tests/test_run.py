"""A run without training cases expects no minutes, and a model that cannot be timed is recorded as failed."""

import io
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from fashionbench.measure.plan import DEFAULTS, make_plan
from fashionbench.run import Run, open_run, run_inference
from fashionbench.store import read_records


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def run(said: io.StringIO, sample_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plan = make_plan(**{**DEFAULTS, "recipe": str(sample_folder / "tiny.toml"), "devices": "cpu"})
    with open_run(
        plan,
        (),
        data=sample_folder,
        out=tmp_path / "out",
        command="pytest",
        environ={},
        console=Console(file=said, width=200),
    ) as opened:
        yield opened


def test_no_minutes_are_expected_of_no_case(run: Run, said: io.StringIO) -> None:
    assert run.records == []
    assert "Expected" not in said.getvalue()


def test_inference_is_told_in_images_a_second_and_kept(run: Run, said: io.StringIO, tmp_path: Path) -> None:
    record = run_inference(run, "fashioncnn", run.plan.devices[0], 4, lambda _: (0.5, 0.25, 0.5))

    assert "fashioncnn on cpu, batch 4: 8 images a second" in said.getvalue()
    assert run.records == [record]
    assert read_records([tmp_path / "out" / "records"]) == (record,)


def test_inference_that_fails_is_told_and_kept(run: Run, said: io.StringIO) -> None:
    def fail(_: object) -> tuple[float, ...]:
        raise RuntimeError("out of memory\nstack")

    record = run_inference(run, "fashioncnn", run.plan.devices[0], 4, fail)

    assert "fashioncnn on cpu, batch 4: out of memory\n" in said.getvalue()
    assert record.status == "failed"


def test_in_another_thread_sigterm_is_left_as_it_is(said: io.StringIO, sample_folder: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    inside: list[object] = []
    plan = make_plan(**{**DEFAULTS, "recipe": str(sample_folder / "tiny.toml"), "devices": "cpu"})

    def work() -> None:
        with open_run(
            plan,
            (),
            data=sample_folder,
            out=tmp_path,
            command="pytest",
            environ={},
            console=Console(file=said),
        ):
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert inside == [before]
