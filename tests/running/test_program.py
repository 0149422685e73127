"""A signal ends a run in words, output that cannot be written ends nothing, and a command is told as it was typed."""

import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import redirect_stdout, suppress
from pathlib import Path

import pytest

from fashionbench.running.program import (
    ENDING,
    Interrupted,
    command_line,
    exit_status,
    finding_lost_signals,
    hold_signals,
    ignore_signals,
    interruptible,
    own_command,
    reliable_output,
    typed_command,
)

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")


@on_posix
@pytest.mark.parametrize(("sent", "status"), [*zip(ENDING, (130, 143, 129), strict=False)])  # Windows has two
def test_each_signal_is_an_interrupt_with_its_exit_status(sent: signal.Signals, status: int) -> None:
    before = [signal.getsignal(each) for each in ENDING]
    with interruptible() as received:
        with pytest.raises(Interrupted, match=sent.name) as interrupted:
            os.kill(os.getpid(), sent)
        os.kill(os.getpid(), sent)  # a launcher passes on what the terminal has sent already

    assert exit_status(interrupted.value) == status
    assert received == [sent]
    assert [signal.getsignal(each) for each in ENDING] == before
    assert exit_status(KeyboardInterrupt()) == 130


@on_posix
def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with interruptible() as received:
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert received == []


class Dropping:
    """Gets a signal while it is finalized, where Python drops whatever is raised."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@on_posix
def test_a_signal_that_comes_where_errors_are_dropped_is_raised_a_moment_later() -> None:
    hook = sys.unraisablehook
    late = list[int]()
    signal.signal(signal.SIGALRM, lambda number, _: late.append(number))
    signal.alarm(20)
    with interruptible() as received:
        Dropping()
        with pytest.raises(Interrupted, match="SIGTERM"):
            signal.pause()
    signal.alarm(0)

    assert late == []  # the wait itself was ended
    assert received == [signal.SIGTERM]
    assert sys.unraisablehook is hook


def test_a_signal_that_a_library_turns_into_an_error_of_its_own_is_an_interrupt_again() -> None:
    with interruptible() as received, pytest.raises(Interrupted, match="SIGTERM"), finding_lost_signals(received):
        with suppress(Interrupted):  # as pydantic does, and the import of NumPy by torch
            signal.raise_signal(signal.SIGTERM)
        raise ValueError("Error calling function: Interrupted: SIGTERM")


def test_a_bug_keeps_its_traceback_before_a_signal_and_while_one_is_handled() -> None:
    with interruptible() as received, pytest.raises(ValueError, match="a bug"), finding_lost_signals(received):
        raise ValueError("a bug")
    with interruptible() as received, pytest.raises(ValueError, match="a bug"), finding_lost_signals(received):
        try:
            signal.raise_signal(signal.SIGTERM)
        except Interrupted:
            raise ValueError("a bug") from None


def test_what_else_is_dropped_is_reported_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __del__(self) -> None:
            raise ValueError

    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: reported.append(lost.exc_type))

    with interruptible():
        Failing()

    assert reported == [ValueError]


def test_another_thread_leaves_the_signals_as_they_are() -> None:
    before = signal.getsignal(signal.SIGTERM)
    inside: list[object] = []

    def work() -> None:
        with interruptible():
            ignore_signals()
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert inside == [before]


@on_posix
def test_signals_that_are_held_come_afterwards_and_ignored_ones_never() -> None:
    done = False
    with interruptible(), pytest.raises(Interrupted), hold_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        done = True
    with interruptible() as received:
        ignore_signals()
        os.kill(os.getpid(), signal.SIGTERM)

    assert done
    assert received == []


def test_a_character_that_the_encoding_lacks_is_replaced(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as file, redirect_stdout(file), reliable_output():
        sys.stdout.write("6.5 × as long\n")
        assert not sys.stdout.isatty()

    assert (tmp_path / "out").read_text() == "6.5 ? as long\n"


PRINT = """
import sys
from fashionbench.running.program import reliable_output
with reliable_output():
    for number in range(3):
        print("line", number, flush=True)
    print("the end", file=sys.stderr)
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_what_is_written_is_flushed_at_the_end_whatever_stands_in_its_place_by_then(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as file, redirect_stdout(file):
        with reliable_output():
            kept = sys.stdout
            kept.write("the reason")
            sys.stdout = file  # as pytest's capture puts back what it found

        assert (tmp_path / "out").read_text() == "the reason"
        assert kept is not sys.stdout


def test_a_full_output_is_said_once_and_ends_nothing() -> None:
    with Path("/dev/full").open("w", encoding="ascii") as full:
        done = subprocess.run([sys.executable, "-c", PRINT], stdout=full, stderr=subprocess.PIPE, text=True, check=True)

    lines = done.stderr.splitlines()
    assert lines == ["fashionbench: the output cannot be written (No space left on device); it is left out", "the end"]


@on_posix
@pytest.mark.parametrize("closed", ["1", "2", "1 2", "0 1 2"])
def test_closed_streams_end_nothing(tmp_path: Path, closed: str) -> None:
    redirected = " ".join(f"{each}>&-" if each != "0" else "0<&-" for each in closed.split())
    script = tmp_path / "script.py"
    script.write_text(PRINT + "open(sys.argv[1], 'x').write('done')\n")
    command = f"{shlex.join([sys.executable, str(script), str(tmp_path / 'told')])} {redirected}"

    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)

    assert (tmp_path / "told").read_text() == "done"  # and no line of the output
    assert "Error" not in done.stdout + done.stderr


@on_posix
def test_a_reader_that_has_gone_ends_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", PRINT], stdout=writer, stderr=subprocess.PIPE, text=True, check=True)
    os.close(writer)

    assert "(Broken pipe)" in done.stderr
    assert done.stderr.endswith("the end\n")


def test_output_in_memory_is_left_as_it_is() -> None:
    stream = io.StringIO()

    with redirect_stdout(stream), reliable_output():
        assert sys.stdout is stream


@on_posix
@pytest.mark.parametrize(
    ("argv", "typed", "command"),
    [
        (["/x/pytest/__main__.py", "bench/"], ["python3", "-m", "pytest", "bench/"], "python3 -m pytest bench/"),
        (["/x/__main__.py"], ["./py", "-X", "dev", "-m", "pytest"], "./py -X dev -m pytest"),
        (["-c", "run"], ["python", "-c", "main()", "run"], "python -c 'main()' run"),
        (["/nowhere/fashionbench", "run"], ["/x/python", "/nowhere/fashionbench", "run"], "/nowhere/fashionbench run"),
        (["/bin/fashionbench", "run"], ["/x/python", "/bin/fashionbench", "run"], "fashionbench run"),
        (["fashionbench", "run", "a b"], ["python", "-m", "pytest"], "fashionbench run 'a b'"),
    ],
)
def test_a_command_is_told_as_it_was_typed(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], typed: list[str], command: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")

    assert typed_command({}, argv, typed) == command
    assert typed_command({"FASHIONBENCH_COMMAND": "nox -s bench"}, argv, typed) == "nox -s bench"


@pytest.mark.parametrize(
    ("system", "line"),
    [
        ("linux", "fashionbench report 'my reports' --out 'C:\\x'"),
        ("win32", 'fashionbench report "my reports" --out C:\\x'),
    ],
)
def test_a_command_line_is_quoted_as_the_systems_shell_reads_it(system: str, line: str) -> None:
    assert command_line("fashionbench", "report", "my reports", "--out", "C:\\x", system=system) == line


def test_a_command_has_the_programs_path_where_it_is_not_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "bin" / "fashionbench"
    installed.parent.mkdir()
    installed.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(installed.with_name("python")))
    monkeypatch.setenv("PATH", "")

    elsewhere = own_command("report", "a b")
    monkeypatch.chdir(tmp_path)
    here = own_command("report", "a b")
    monkeypatch.setenv("PATH", str(installed.parent))

    assert elsewhere == command_line(str(installed), "report", "a b")
    assert here == command_line(str(Path("bin", "fashionbench")), "report", "a b")
    assert own_command("report", "a b") == command_line("fashionbench", "report", "a b")
