"""Whatever is called in a process of its own, the caller goes on, knows the reason, and nothing stays behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from fashionbench.errors import InputError
from fashionbench.running.process.call import CallFailedError, call_in_process, call_within
from fashionbench.running.process.child import open_child, prepare_child, run_target
from fashionbench.running.process.server import clean_context, start_fork_server

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to another process")


class PeculiarError(Exception):
    def __init__(self, one: int, *, other: int) -> None:
        super().__init__(f"it has {one}\nand {other}")


def raise_peculiar() -> NoReturn:
    raise PeculiarError(1, other=2)


def leave() -> NoReturn:
    sys.exit(4)


def interrupt() -> NoReturn:
    raise KeyboardInterrupt


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave_at_once() -> None:
    os._exit(3)


def close_everything() -> None:
    os.closerange(3, 64)
    time.sleep(60)


def write_junk() -> None:
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"junk that a model prints into whatever is open")
        except OSError:
            continue
    time.sleep(60)


def sleep() -> None:
    time.sleep(60)


def run_out_of_memory() -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (raise_peculiar, "PeculiarError: it has 1"),
        (leave, "SystemExit: 4"),
        (interrupt, "KeyboardInterrupt"),
        (run_out_of_memory, "MemoryError"),
        (leave_at_once, "its process ended without a result (exit status 3)"),
        pytest.param(kill_itself, "its process was ended by SIGKILL, possibly out of memory", marks=on_posix),
        pytest.param(close_everything, "its process closed the pipe to the run", marks=on_posix),
        pytest.param(write_junk, "its process sent what is no message (OSError: ", marks=on_posix),
    ],
)
def test_a_call_that_fails_tells_why(function: Callable[[], None], reason: str) -> None:
    with pytest.raises(CallFailedError) as failed:
        call_in_process(function)

    assert failed.value.reason.startswith(reason)
    assert "\n" not in failed.value.reason


def test_the_error_of_a_call_has_the_traceback_from_there() -> None:
    with pytest.raises(CallFailedError, match="integer division or modulo by zero") as failed:
        call_in_process(divmod, 1, 0)

    assert failed.value.reason == "ZeroDivisionError: integer division or modulo by zero"
    assert failed.value.traceback.startswith("Traceback (most recent call last):")


def refuse() -> NoReturn:
    raise InputError("this", expected="that", remedy="do so")


def test_a_refusal_comes_as_it_was_raised() -> None:
    with pytest.raises(InputError, match=r"This\. Expected that\. Do so\."):
        call_in_process(refuse)


def test_a_call_that_hangs_is_given_up() -> None:
    with pytest.raises(CallFailedError, match=r"no answer in 0\.01 min"):
        call_within(0.6, sleep)


def send_a_number(sender: "Connection[object, object]") -> None:
    prepare_child()
    sender.send(5)


@on_posix
def test_a_child_leads_a_group_of_its_own() -> None:
    groups = call_in_process(os.getpgrp), os.getpgrp()

    assert groups[0] != groups[1]


def start_sleepers(folder: str, ending: str) -> None:
    """Start a program in this group, one in a session of its own, one that loses its parent, and a forked process."""
    programs = [subprocess.Popen(["/bin/sleep", "600"], start_new_session=new).pid for new in (False, True)]
    orphan = subprocess.run(
        ["/bin/sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True, check=True
    )
    forked = os.fork()
    if forked == 0:
        time.sleep(600)  # it has every pipe of this process open
    Path(folder, "pids").write_text(" ".join(map(str, [*programs, int(orphan.stdout), forked])))
    if ending == "kill":
        kill_itself()
    if ending == "hang":
        time.sleep(600)


@on_linux
@pytest.mark.parametrize("ending", ["return", "kill", "hang"])
def test_nothing_that_a_child_has_started_outlives_it(tmp_path: Path, ending: str) -> None:
    call_in_process(os.getpid)  # the fork server is ready
    try:
        call_within(2.0 if ending == "hang" else 60.0, start_sleepers, str(tmp_path), ending)
    except CallFailedError:
        assert ending != "return"

    pids = [int(each) for each in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 4
    assert [pid for pid in pids if runs(pid)] == []


@on_posix
def test_a_child_stops_when_the_terminal_stops_its_parent_and_ends_with_it(tmp_path: Path) -> None:
    script = tmp_path / "stopping.py"
    script.write_text(
        "import time, sys\n"
        "from pathlib import Path\n"
        "from fashionbench.running.process.call import call_in_process\n"
        "def work(path):\n"
        "    import os, time\n"
        "    from pathlib import Path\n"
        "    Path(path).write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__': call_in_process(work, sys.argv[1])\n"
    )
    told = tmp_path / "pid"
    process = subprocess.Popen([sys.executable, str(script), str(told)], start_new_session=True)
    try:
        wait_for(lambda: told.exists() and bool(told.read_text()))
        child = psutil.Process(int(told.read_text()))
        os.killpg(process.pid, signal.SIGTSTP)
        wait_for(lambda: child.status() == psutil.STATUS_STOPPED)
        os.killpg(process.pid, signal.SIGCONT)
        wait_for(lambda: child.status() != psutil.STATUS_STOPPED)
        assert child.is_running()
    finally:
        process.kill()
        process.wait()

    wait_for(lambda: not runs(child.pid))
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def runs(pid: int) -> bool:
    """Return whether a process is there, other than as a zombie that nobody reaps."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    ended = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        ended.wait(0.05)
    pytest.fail("what was waited for did not come")


def test_messages_come_in_order_and_then_how_the_child_ended() -> None:
    start_fork_server()
    with open_child(clean_context(), send_a_number, name="five", seconds=1.0) as child:
        received = child.receive(None)
        with pytest.raises(Exception, match=r"its process ended without a result \(exit status 0\)"):
            child.receive(None)

    assert received == 5


def test_a_child_ends_without_a_word_where_nobody_receives_what_it_sends() -> None:
    receiver, sender = clean_context().Pipe(duplex=False)
    receiver.close()

    run_target(lambda connection: connection.send(5), sender)
    with pytest.raises(BrokenPipeError):
        sender.send(5)


@on_posix
def test_a_signal_to_the_whole_group_while_a_process_is_spawned_ends_the_call(tmp_path: Path) -> None:
    script = tmp_path / "starting.py"
    script.write_text(
        "import sys\n"
        "import operator\n"
        "from multiprocessing import get_context\n"
        "from fashionbench.running.process.child import open_child\n"
        "from fashionbench.running.program import exit_status, interruptible\n"
        "if __name__ == '__main__':\n"
        "    with interruptible():\n"
        "        try:\n"
        "            big = bytes(10**7)  # more than a pipe takes before the child reads it\n"
        "            with open_child(get_context('spawn'), operator.is_, big, name='slow', seconds=0) as child:\n"
        "                child.receive(None)\n"
        "        except KeyboardInterrupt as interrupt:\n"
        "            sys.exit(exit_status(interrupt))\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    try:
        leader = psutil.Process(process.pid)
        wait_for(lambda: any("spawn_main" in " ".join(each.cmdline()) for each in leader.children()))
        os.killpg(process.pid, signal.SIGTERM)

        assert process.wait(60) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()
