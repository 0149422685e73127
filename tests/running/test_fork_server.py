"""The fork server starts early where there is one; a Ray worker's has the threads its node was started with."""

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from commands import call

from fashionbench.running.process import server as server_module
from fashionbench.running.process.call import call_in_process
from fashionbench.running.process.server import drop_threads_of_ray


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are spawned, by this one")
def test_a_call_is_made_in_a_process_forked_from_the_fork_server_which_has_imported_torch() -> None:
    assert call_in_process(os.getppid) != os.getpid()
    assert call_in_process(_is_imported, "torch")


def _is_imported(name: str) -> bool:
    return name in sys.modules


@pytest.mark.parametrize("set_by_the_user", [True, False])
def test_rays_number_of_threads_is_dropped_unless_the_node_was_started_with_it(*, set_by_the_user: bool) -> None:
    environ = {"OMP_NUM_THREADS": "1", "HOME": "/"}

    drop_threads_of_ray(environ, dict(environ) if set_by_the_user else {})

    assert environ.get("OMP_NUM_THREADS") == ("1" if set_by_the_user else None)
    assert environ["HOME"] == "/"


@pytest.mark.parametrize(("engine", "started"), [("local", 1), ("ray", 0)])
def test_the_fork_server_starts_early_for_a_run_here_and_not_for_one_elsewhere(
    engine: str, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[bool] = []
    monkeypatch.setattr(server_module, "start_fork_server", lambda: starts.append(True))

    call("run", "--engine", engine, "--models", "none such")

    assert len(starts) == started


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are spawned, without a socket")
@pytest.mark.parametrize(("letter", "count", "is_short"), [("x", 40, True), ("x", 41, False), ("\u00e9", 21, False)])
def test_the_path_of_the_fork_servers_socket_is_never_too_long(letter: str, count: int, *, is_short: bool) -> None:
    code = (
        "from multiprocessing.connection import Listener; from fashionbench.running.process import server; "
        "server._prepare_once(); print(Listener(family='AF_UNIX').address)"
    )
    with tempfile.TemporaryDirectory(prefix=letter * count, dir="/tmp") as folder:
        environ = {**os.environ, "TMPDIR": folder}
        done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)

        assert done.stdout.startswith(f"{folder}/") == is_short
        assert [*Path(folder).iterdir()] == []


class Mine:
    """A model's class, whose own code fails where it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return exec, ("raise EOFError('mine')", {})


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are spawned, without a hook")
@pytest.mark.parametrize(
    ("handed_over", "shown"),
    [
        (b"", ""),
        (pickle.dumps({}), ""),
        (pickle.dumps({}) + pickle.dumps(b"x" * 9)[:-5], ""),
        (pickle.dumps({}) + pickle.dumps(Mine()), "EOFError: mine"),
        (b"no pickle", "_pickle.UnpicklingError: invalid load key, 'n'."),
    ],
)
def test_a_job_cut_short_leaves_no_traceback_and_any_other_error_does(handed_over: bytes, shown: str) -> None:
    hook = server_module.PRELOADED[0]
    code = f"import {hook}; from multiprocessing.spawn import spawn_main; spawn_main(0)"
    child = [sys.executable, "-c", code, "--multiprocessing-fork"]

    ended = subprocess.run(child, input=handed_over, capture_output=True, check=False)

    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines()[-1:] == ([shown] if shown else [])
