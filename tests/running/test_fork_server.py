"""The fork server starts early where there is one; a Ray worker's has the threads its node was started with."""

import os
import signal
import sys
from concurrent.futures import BrokenExecutor

import psutil
import pytest

from fashionbench import cli
from fashionbench.running import process as process_module
from fashionbench.running.process import call_in_process, start_fork_server_on_node


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are spawned, by this one")
def test_a_call_is_made_in_a_process_forked_from_the_fork_server_which_has_imported_torch() -> None:
    assert call_in_process(os.getppid) != os.getpid()
    assert call_in_process(_is_imported, "torch")


def _is_imported(name: str) -> bool:
    return name in sys.modules


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
def test_a_call_whose_process_is_killed_is_an_error_of_its_own() -> None:
    with pytest.raises(BrokenExecutor):
        call_in_process(_kill_this_process)


def _kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_call_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        call_in_process(divmod, 1, 0)


@pytest.mark.parametrize("set_by_the_user", [True, False])
def test_rays_number_of_threads_is_dropped_unless_the_node_was_started_with_it(
    monkeypatch: pytest.MonkeyPatch, *, set_by_the_user: bool
) -> None:
    class Parent:
        def environ(self) -> dict[str, str]:
            return {"OMP_NUM_THREADS": "1"} if set_by_the_user else {}

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(psutil.Process, "parent", lambda _: Parent())

    seen: list[str | None] = []
    monkeypatch.setattr(process_module, "start_fork_server", lambda: seen.append(os.environ.get("OMP_NUM_THREADS")))
    start_fork_server_on_node()

    assert seen == ["1" if set_by_the_user else None]
    assert os.environ.get("OMP_NUM_THREADS") == ("1" if set_by_the_user else None)


@pytest.mark.parametrize(("engine", "started"), [("local", 1), ("ray", 0)])
def test_the_fork_server_starts_early_for_a_run_here_and_not_for_one_elsewhere(
    engine: str, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[bool] = []
    monkeypatch.setattr(process_module, "start_fork_server", lambda: starts.append(True))

    monkeypatch.setattr(sys, "argv", ["fashionbench", "run", "--engine", engine, "--recipe", "none such"])
    with pytest.raises(SystemExit):
        cli.main()

    assert len(starts) == started
