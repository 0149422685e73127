"""What surrounds a command: Ctrl-C and the other signals that end it, its output, and how it was typed.

It imports nothing heavy, so that signals are caught before torch is loaded. ``noxfile.py`` passes signals on by code of
its own, because it runs in an environment without this package.
"""

import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = [
    "ENDING",
    "SIGNALLED",
    "Interrupted",
    "command_line",
    "exit_status",
    "finding_lost_signals",
    "hold_signals",
    "ignore_signals",
    "interruptible",
    "own_command",
    "raising_lost_signals",
    "reliable_output",
    "typed_command",
]

ENDING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, the request of a batch system to end, and the end of a terminal; Windows has no SIGHUP."""

SIGNALLED: Final = 128
"""What shells add to the number of a signal."""

SECONDS_TO_END: Final = 15.0
"""How long further signals are ignored: a training may take ten seconds to save its state."""

SECONDS_TO_RAISE_AGAIN: Final = 0.05
"""When an interrupt is raised again that was dropped. A finalizer takes less."""

COMMAND_NAME: Final = "FASHIONBENCH_COMMAND"
"""The environment variable in which noxfile.py passes on what was typed."""


class Interrupted(KeyboardInterrupt):
    """A signal ends the run; what is finished is kept."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def exit_status(interrupt: KeyboardInterrupt) -> int:
    """Return the exit status after a signal, as shells have it: 130, 143 or 129."""
    return SIGNALLED + (interrupt.number if isinstance(interrupt, Interrupted) else signal.SIGINT)


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Let Ctrl-C, SIGTERM and SIGHUP raise ``Interrupted`` in the block, and yield a list of those that came.

    One that is ignored, as by nohup, stays so. Those that follow within seconds are ignored: a launcher passes on what
    the terminal has sent already.
    """
    if threading.current_thread() is not threading.main_thread():  # where Python allows no handler
        yield []
        return
    received = list[int]()
    ignored_until = 0.0

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal ignored_until
        if not received or time.monotonic() >= ignored_until:
            ignored_until = time.monotonic() + SECONDS_TO_END
            received.append(number)
            raise Interrupted(number)

    before: dict[signal.Signals, Any] = {each: signal.getsignal(each) for each in ENDING}
    for each, handler in before.items():
        if handler not in {signal.SIG_IGN, None}:
            signal.signal(each, stop)
    try:
        with raising_lost_signals(received):
            yield received
    finally:
        for each, handler in before.items():
            if handler is not None:
                signal.signal(each, handler)


@contextmanager
def raising_lost_signals(received: list[int]) -> Iterator[None]:
    """Raise again, a moment later, an interrupt that Python drops.

    It drops whatever is raised in a finalizer or in a callback of a weak reference.

    Args:
        received: What ``interruptible`` yields.

    """
    before = sys.unraisablehook

    def raise_again(lost: "sys.UnraisableHookArgs") -> None:
        if isinstance(lost.exc_value, Interrupted):
            received.clear()
            threading.Timer(SECONDS_TO_RAISE_AGAIN, _signal_main_thread, [lost.exc_value.number]).start()
        else:
            before(lost)

    sys.unraisablehook = raise_again
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def finding_lost_signals(received: list[int]) -> Iterator[None]:
    """Raise again an interrupt that a library caught, once an error tells: its own, or one that follows from it.

    pydantic and torch's import of NumPy catch all that is raised in Python code that they call.

    Args:
        received: What ``interruptible`` yields.

    """
    try:
        yield
    except Exception as error:
        chain: list[BaseException] = [error]
        while (before := chain[-1].__cause__ or chain[-1].__context__) is not None:
            chain.append(before)
        if received and not any(isinstance(each, Interrupted) for each in chain):
            raise Interrupted(received[0]) from None
        raise


def _signal_main_thread(number: int) -> None:
    """Send a signal where it ends a call that waits, too: ``raise_signal`` sends it to the thread that calls it."""
    if sys.platform == "win32":
        signal.raise_signal(number)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, number)


@contextmanager
def hold_signals() -> Iterator[None]:
    """Let the signals that end a run wait until the block is done.

    The handlers hold them, as the system gives a signal to any thread and Python handles it in the main one. The mask
    is for a process that is started in the block: it inherits it, so that a signal to the whole group does not end it.
    """
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return
    came = list[int]()
    before = {each: signal.getsignal(each) for each in ENDING}
    for each, handler in before.items():
        if handler not in {signal.SIG_IGN, None}:
            signal.signal(each, lambda number, _: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for each, handler in before.items():
            if handler is not None:
                signal.signal(each, handler)
        for number in came[:1]:
            signal.raise_signal(number)


def ignore_signals() -> None:
    """Let no signal disturb the end of a run, where nothing is left to be kept."""
    if threading.current_thread() is threading.main_thread():
        for each in ENDING:
            signal.signal(each, signal.SIG_IGN)


@contextmanager
def reliable_output() -> Iterator[None]:
    """Let no line that cannot be shown end what the block does.

    A character that the terminal's encoding lacks becomes a question mark. After an output is closed (``| head``) or
    its disk is full, the rest is dropped, and standard error says so once.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed; else the next file that is opened would be taken for it
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    reliable = sys.stdout, sys.stderr = _reliable(sys.stdout), _reliable(sys.stderr)
    try:
        yield
    finally:
        for stream in reliable:  # others may stand in their place, as of pytest's capture
            stream.flush()
        sys.stdout, sys.stderr = before


def _reliable(stream: TextIO | None) -> TextIO:
    if stream is None:  # it was closed when Python started
        return Path(os.devnull).open("w", encoding="utf-8")
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # with PYTHONUNBUFFERED there is no buffer
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(raw, io.RawIOBase):  # in memory
        return stream
    lossy = _Lossy(raw)
    buffered: Any = lossy if raw is buffer else io.BufferedWriter(lossy)
    return io.TextIOWrapper(
        buffered,
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Lossy(io.RawIOBase):
    """The raw end of an output that drops what cannot be written."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._lost = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()

    def write(self, content: "ReadableBuffer") -> int | None:
        if self._lost:
            return memoryview(content).nbytes
        try:
            return self._raw.write(content)
        except OSError as error:
            self._lost = True
            with suppress(OSError):  # standard error may be the one that is lost
                os.write(2, f"fashionbench: the output cannot be written ({error.strerror}); it is left out\n".encode())
            return memoryview(content).nbytes


def typed_command(environ: Mapping[str, str], argv: Sequence[str], typed: Sequence[str]) -> str:
    """Return the command line that started this program, as a user would type it again.

    Args:
        environ: The environment variables; noxfile.py passes on what was typed in one of them.
        argv: ``sys.argv``.
        typed: ``sys.orig_argv``.

    """
    if environ.get(COMMAND_NAME):
        return environ[COMMAND_NAME]
    program, *options = argv
    before = [*typed[: len(typed) - len(options)]]
    if [*typed[len(before) :]] != options or before[1:] == [program]:  # called from Python; a script on PATH
        name = Path(program).stem
        found = shutil.which(name)
        before = [name if found is not None and Path(found) == Path(program).absolute() else program]
    return command_line(*before, *options)


def own_command(*arguments: str) -> str:
    """Return a command of this program that works here: with the program's path, where it is not on PATH."""
    installed = Path(sys.executable).with_name("fashionbench")
    if shutil.which("fashionbench") is not None or shutil.which(str(installed)) is None:
        return command_line("fashionbench", *arguments)
    here = Path.cwd()
    return command_line(str(installed.relative_to(here) if installed.is_relative_to(here) else installed), *arguments)


def command_line(*words: str, system: str = sys.platform) -> str:
    """Return words as a line that the shell of a system, named as in ``sys.platform``, reads as those words."""
    return subprocess.list2cmdline(words) if system == "win32" else shlex.join(words)
