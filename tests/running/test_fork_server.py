"""The helper starts early where there is one, and a Ray worker's has the threads that its node was started with."""

import os
import sys
from concurrent.futures import ProcessPoolExecutor

import psutil
import pytest

from fashionbench import cli
from fashionbench.running import process as helper_module
from fashionbench.running.process import (
    clean_context,
    start_fork_server,
    start_fork_server_on_node,
    wait_for_fork_server,
)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are spawned, by this one")
def test_a_process_is_forked_from_the_helper_and_not_from_this_one() -> None:
    wait_for_fork_server()

    with ProcessPoolExecutor(1, mp_context=clean_context()) as pool:
        assert pool.submit(os.getppid).result() != os.getpid()
        assert pool.submit(_is_imported, "torch").result()


def _is_imported(name: str) -> bool:
    return name in sys.modules


@pytest.mark.skipif(sys.platform == "win32", reason="it has no helper to be left alone")
def test_elsewhere_than_on_linux_processes_are_spawned_without_a_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[bool] = []
    monkeypatch.setattr("multiprocessing.forkserver.ensure_running", lambda: started.append(True))

    monkeypatch.setattr(sys, "platform", "linux")
    start_fork_server()
    monkeypatch.setattr(sys, "platform", "darwin")
    start_fork_server()
    wait_for_fork_server()

    assert len(started) == 1
    assert clean_context().get_start_method() == "spawn"


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
    monkeypatch.setattr(helper_module, "start_fork_server", lambda: seen.append(os.environ.get("OMP_NUM_THREADS")))
    start_fork_server_on_node()

    assert seen == ["1" if set_by_the_user else None]
    assert os.environ.get("OMP_NUM_THREADS") == ("1" if set_by_the_user else None)


@pytest.mark.parametrize(("engine", "started"), [("local", 1), ("ray", 0)])
def test_the_helper_imports_beside_a_run_here_and_not_beside_one_elsewhere(
    engine: str, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[bool] = []
    monkeypatch.setattr(helper_module, "start_fork_server", lambda: starts.append(True))

    monkeypatch.setattr(sys, "argv", ["fashionbench", "run", "--engine", engine, "--recipe", "none such"])
    with pytest.raises(SystemExit):
        cli.main()

    assert len(starts) == started
