"""One child process: started, listened to, and ended together with all that it has started."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import psutil

from fashionbench.devices.cpus import limit_threads
from fashionbench.errors import describe_error
from fashionbench.running.program import hold_signals

if sys.platform != "win32":
    from multiprocessing import forkserver, resource_tracker

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

__all__ = ["Child", "ChildEndedError", "Failure", "open_child", "prepare_child", "run_target"]

SECONDS_TO_STOP: Final = 10.0
"""How long a process may take to save its state before it is killed."""

SECONDS_BETWEEN_LOOKS: Final = 1.0
"""How often to ask whether a process has ended: one that it forked may keep every pipe open that would tell."""

MOST_ROUNDS: Final = 3
"""How often to look for processes that appear while others are ended."""

MOST_BYTES: Final = 2**29
"""Of a message. A text that a model writes into the pipe announces more than that."""


class ChildEndedError(Exception):
    """A process ended, or cannot be understood any more; the message says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error that was raised in a process: it comes as text, since its type may exist only there."""

    reason: str
    """Type and first line."""
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Return the failure that an error is, with its traceback."""
        return cls(reason=describe_error(error), traceback="".join(traceback.format_exception(error)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Child:
    """A process in a process group of its own, and the pipe on which it sends messages."""

    process: BaseProcess
    receiver: "Connection[object, object]"

    def receive(self, deadline: float | None) -> object:
        """Wait for the next message and return it.

        Args:
            deadline: On ``time.monotonic``; None waits as long as the process lives.

        Raises:
            ChildEndedError: The process has ended and sent nothing more, or sent what is no message.
            TimeoutError: The deadline has passed.

        """
        while not self.receiver.poll():
            left = (
                SECONDS_BETWEEN_LOOKS if deadline is None else min(SECONDS_BETWEEN_LOOKS, deadline - time.monotonic())
            )
            if left <= 0:
                raise TimeoutError
            ready = wait([self.receiver, self.process.sentinel], left)
            if self.process.sentinel in ready or self.process.exitcode is not None:
                break
        try:
            if self.process.exitcode is None or self.receiver.poll():
                return ForkingPickler.loads(self.receiver.recv_bytes(MOST_BYTES))
        except EOFError:
            self.process.join(SECONDS_BETWEEN_LOOKS)
        except Exception as error:
            raise ChildEndedError(f"its process sent what is no message ({describe_error(error)})") from error
        raise ChildEndedError(_how_it_ended(self.process.exitcode))


@contextmanager
def open_child(
    context: "ForkServerContext | SpawnContext", target: Callable[..., None], *args: object, name: str, seconds: float
) -> Iterator[Child]:
    """Start a process that calls ``target(sender, *args)``, and end it with the block.

    Whatever it has started and not ended itself is ended, too. Ctrl-Z stops it together with this process.

    Args:
        context: How processes are made.
        target: Called there; it calls ``prepare_child`` first.
        args: Of the target.
        name: Of the process.
        seconds: How long it may take to end after SIGTERM before it is killed.

    """
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=run_target, args=(target, sender, *args), name=name)
    others = set[psutil.Process]()
    if sys.platform != "win32":
        resource_tracker.ensure_running()  # started below, it would let SIGINT and SIGTERM through again
    try:
        with hold_signals():  # one that has half begun could not be ended
            process.start()
            sender.close()
            others |= {*psutil.Process().children()}
        with _stopping_together(process):
            yield Child(process=process, receiver=receiver)
    finally:
        with hold_signals():
            if process.pid is not None:
                _end(process, others, seconds)
            receiver.close()


def run_target(target: Callable[..., None], sender: "Connection[object, object]", *args: object) -> None:
    """Call ``target(sender, *args)``, in the process; end it without a word where the run was killed that listens."""
    with suppress(BrokenPipeError):
        target(sender, *args)


def prepare_child() -> None:
    """Make this process, a child, the leader of a process group, and let it end when its parent is gone.

    The signals of a terminal then reach the parent only, which decides what follows. PyTorch computes with as
    many threads as there are CPUs to use.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        os.setpgid(0, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the fork server and the leading process block some
        _drop_shared_pipes()
    limit_threads()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _drop_shared_pipes() -> None:
    """Lead the pipes of multiprocessing's helpers nowhere: what a model writes into them would end the helpers."""
    null = os.open(os.devnull, os.O_WRONLY)
    alive = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_alive_fd", None)
    for shared in (alive, resource_tracker.getfd()):
        if shared is not None:
            os.dup2(null, shared)
    os.close(null)


def _end_with_parent() -> None:
    """End this process at once when its parent is gone: the next run must find the folder its own."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        while _is_there(parent.pid):  # a model closed the pipe that tells
            time.sleep(SECONDS_BETWEEN_LOOKS)
        _kill(_descendants(psutil.Process()))
        if sys.platform != "win32":
            os.killpg(0, signal.SIGKILL)
        os._exit(1)


def _is_there(pid: int | None) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _end(process: BaseProcess, others: AbstractSet[psutil.Process], seconds: float) -> None:
    """End a process and all that it has started."""
    family = _descendants_of(process.pid)
    if seconds and process.is_alive():
        process.terminate()
        process.join(seconds)
        family |= _descendants_of(process.pid)
    process.kill()
    process.join()
    _kill(family)
    if sys.platform != "win32":  # which has neither groups nor SIGKILL
        _signal_group(process, signal.SIGKILL)
    for _ in range(MOST_ROUNDS):  # what lost its parent comes to this process, on Linux
        adopted = {*psutil.Process().children()} - others
        _kill({*adopted}.union(*map(_descendants, adopted)))
        psutil.wait_procs(adopted, SECONDS_TO_STOP)
    process.close()


def _descendants_of(pid: int | None) -> set[psutil.Process]:
    try:
        return _descendants(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return set()


def _descendants(process: psutil.Process) -> set[psutil.Process]:
    try:
        return {*process.children(recursive=True)}
    except psutil.NoSuchProcess:
        return set()


def _kill(processes: AbstractSet[psutil.Process]) -> None:
    for each in processes:
        with suppress(psutil.Error):  # it has ended meanwhile
            each.kill()


@contextmanager
def _stopping_together(process: BaseProcess) -> Iterator[None]:
    """Let Ctrl-Z, which the terminal sends to this process's group only, stop the process as well."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        _signal_group(process, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        _signal_group(process, signal.SIGCONT)  # here this process goes on

    before: Any = signal.getsignal(signal.SIGTSTP)
    if before == signal.SIG_DFL:
        signal.signal(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)


def _signal_group(process: BaseProcess, number: int) -> None:
    if sys.platform != "win32" and process.pid is not None:
        with suppress(ProcessLookupError, PermissionError):  # none is left; on macOS, only dead ones are left
            os.killpg(process.pid, number)


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is None:
        return "its process closed the pipe to the run"
    if exit_code < 0:
        name = next((each.name for each in signal.Signals if each == -exit_code), f"signal {-exit_code}")
        hint = ", possibly out of memory" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended without a result (exit status {exit_code})"
