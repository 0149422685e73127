"""The fork server starts early where there is one; a Ray worker's has the threads its node was started with."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from commands import call

from fashionbench.running.process import server as server_module
from fashionbench.running.process.call import call_in_plain_process, call_in_process
from fashionbench.running.process.server import WAITING, start_fork_server_on_node


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are spawned, by this one")
def test_a_call_is_made_in_a_process_forked_from_the_fork_server_which_has_imported_torch() -> None:
    assert call_in_process(os.getppid) != os.getpid()
    assert call_in_process(_is_imported, "torch")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere OpenMP is not GNU's")
@pytest.mark.parametrize(
    ("set_by_the_user", "fast", "plain"),
    [
        ({}, ("1000", None), (None, None)),
        ({"OMP_WAIT_POLICY": "active"}, (None, "active"), (None, "active")),
    ],
)
def test_waiting_threads_give_their_core_free_in_fast_unless_the_user_says_otherwise(
    set_by_the_user: dict[str, str], fast: tuple[str | None, ...], plain: tuple[str | None, ...]
) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in WAITING} | set_by_the_user
    script = "from test_fork_server import print_waiting\nif __name__ == '__main__': print_waiting()\n"

    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == [str(fast), str(plain), str(tuple(map(set_by_the_user.get, WAITING)))]


def print_waiting() -> None:
    """Print the settings of a process of each execution, and those of this one."""
    seen = call_in_process(read_waiting), call_in_plain_process(read_waiting), read_waiting()
    sys.stdout.write("\n".join(map(str, seen)))


def read_waiting() -> tuple[str | None, ...]:
    return tuple(map(os.environ.get, WAITING))


def _is_imported(name: str) -> bool:
    return name in sys.modules


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
    monkeypatch.setattr(server_module, "start_fork_server", lambda: seen.append(os.environ.get("OMP_NUM_THREADS")))
    start_fork_server_on_node()

    assert seen == ["1" if set_by_the_user else None]
    assert os.environ.get("OMP_NUM_THREADS") == ("1" if set_by_the_user else None)


@pytest.mark.parametrize(("engine", "started"), [("local", 1), ("ray", 0)])
def test_the_fork_server_starts_early_for_a_run_here_and_not_for_one_elsewhere(
    engine: str, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[bool] = []
    monkeypatch.setattr(server_module, "start_fork_server", lambda: starts.append(True))

    call("run", "--engine", engine, "--recipe", "none such")

    assert len(starts) == started
