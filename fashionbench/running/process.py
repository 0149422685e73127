"""One case in a process of its own: a crash or a hang ends no other case, and memory starts clean."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from fashionbench.data.dataset import Dataset
from fashionbench.errors import FashionBenchError
from fashionbench.records.record import TrainingRecord
from fashionbench.training.case import Case
from fashionbench.training.checkpoint import Checkpoints, Stopped
from fashionbench.training.clock import TrainingClock
from fashionbench.training.loop import Tick
from fashionbench.training.measure import measure_training, record_failure

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

__all__ = [
    "Job",
    "Message",
    "clean_context",
    "measure_in_child",
    "messages_of_child",
    "start_fork_server",
    "start_fork_server_on_node",
    "wait_for_fork_server",
]

THREADS: Final = "OMP_NUM_THREADS"


def clean_context() -> "ForkServerContext | SpawnContext":
    """Return how a process is made that shares nothing with this one: forked from the helper, elsewhere spawned."""
    linux = sys.platform == "linux"
    context = multiprocessing.get_context("forkserver") if linux else multiprocessing.get_context("spawn")
    context.set_forkserver_preload(["fashionbench.running.process"])
    return context


def start_fork_server() -> None:
    """Start the helper before it is needed, so that its seconds of imports pass beside this process's own."""
    if sys.platform == "linux":
        from multiprocessing.forkserver import ensure_running  # noqa: PLC0415 - Windows has none

        clean_context()  # says what to import
        unmasked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # it inherits that: Ctrl-C is this one's
        try:
            ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unmasked)


def wait_for_fork_server() -> None:
    """Return when the helper has imported all, so that it takes no time from what is timed next."""
    if sys.platform == "linux":
        start_fork_server()
        process = clean_context().Process(target=time.sleep, args=(0,))
        process.start()
        process.join()
        process.close()


def start_fork_server_on_node() -> None:
    """Start the helper of a Ray worker, with as many threads as it would have without Ray."""
    parent = psutil.Process().parent()
    if parent is None or THREADS not in parent.environ():
        os.environ.pop(THREADS, None)  # Ray sets it for a worker; what was set where the node was started stays
    start_fork_server()


Message = Tick | str | TrainingRecord
"""What a child tells: its progress, a warning in a line, its record."""

SECONDS_TO_STOP: Final = 10.0
"""How long a child may take to save its state before it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """All that the child needs."""

    case: Case
    dataset: Dataset
    command: str
    """What was typed, for the record."""
    checkpoint: Path | None
    """Where the training goes on from and saves to."""
    seconds_between_checkpoints: float


def measure_in_child(
    job: Job, *, watch: Callable[[Tick], None], warn: Callable[[str], None], limit_seconds: float | None
) -> TrainingRecord:
    """Measure a case in a child process; a child that crashes or takes too long gives a record of status ``failed``.

    A ``KeyboardInterrupt`` here lets the child save its state before it goes on.

    Args:
        job: What to measure.
        watch: Is told of the progress.
        warn: Is told of what went wrong without ending the case, in a line each.
        limit_seconds: How long the child may take; None: as long as it likes.

    Raises:
        FashionBenchError: What the case's own checks refuse.

    """
    with closing(messages_of_child(job, limit_seconds)) as messages:
        for message in messages:
            if isinstance(message, Tick):
                watch(message)
            elif isinstance(message, str):
                warn(message)
            else:
                return message
    raise AssertionError(f"{job.case.name}: no record came")


def messages_of_child(job: Job, limit_seconds: float | None) -> Generator[Message]:
    """Measure a case as ``measure_in_child`` does, and yield its ticks, its warnings and last its record.

    Closed before its end, it lets the child save its state.
    """
    context = clean_context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, job), name=job.case.name)
    process.start()
    sender.close()
    try:
        yield from _receive(job, receiver, None if limit_seconds is None else time.monotonic() + limit_seconds)
    except EOFError:
        process.join()
        yield record_failure(job.case, job.dataset, _how_it_ended(process.exitcode), command=job.command)
    except TimeoutError:
        reason = f"given up after the limit of {(limit_seconds or 0) / 60:g} min"
        yield record_failure(job.case, job.dataset, reason, command=job.command)
    finally:
        if process.is_alive():
            process.terminate()
            process.join(SECONDS_TO_STOP)
            process.kill()
        process.join()
        process.close()
        receiver.close()


def _receive(job: Job, receiver: "Connection[object, object]", deadline: float | None) -> Iterator[Message]:
    while True:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and (left <= 0 or not receiver.poll(left)):
            raise TimeoutError
        match receiver.recv():
            case TrainingRecord() as record:
                yield record
                return
            case Tick() | str() as message:
                yield message
            case FashionBenchError() as error:
                raise error
            case other:
                raise AssertionError(f"{job.case.name}: the child sent {other!r}")


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
        return f"the process that trained was ended by {name}{hint}"
    return f"the process that trained ended without a result (exit status {exit_code})"


def _work(sender: "Connection[object, object]", job: Job) -> None:
    """Measure, in the child, and send ticks, warnings and the record."""
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells all its processes; the parent decides
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    checkpoints = None
    if job.checkpoint is not None:
        checkpoints = Checkpoints(
            job.checkpoint, stop=stop.is_set, seconds_between=job.seconds_between_checkpoints, warn=sender.send
        )
    with suppress(Stopped):
        try:
            sender.send(
                measure_training(
                    job.case,
                    job.dataset,
                    command=job.command,
                    clock=TrainingClock(),
                    watch=sender.send,
                    checkpoints=checkpoints,
                )
            )
        except FashionBenchError as error:
            sender.send(error)


def _end_with_parent() -> None:
    """End this process at once when the parent is gone: the next run must find the folder its own."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
