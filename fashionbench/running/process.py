"""Work in processes of their own: a crash or a hang ends nothing else, and memory starts clean."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import psutil

from fashionbench.data.dataset import Dataset
from fashionbench.devices.cpus import limit_threads
from fashionbench.errors import FashionBenchError, describe_error
from fashionbench.records.record import Execution, TrainingRecord
from fashionbench.training.case import Case
from fashionbench.training.checkpoint import Checkpoints, Stopped
from fashionbench.training.identity import Provenance
from fashionbench.training.loop import Supervision, Tick
from fashionbench.training.measure import measure_training, record_failure

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

__all__ = [
    "Job",
    "Message",
    "call_for",
    "call_in_plain_process",
    "call_in_process",
    "measure_in_process",
    "messages_of_process",
    "start_fork_server",
    "start_fork_server_on_node",
]

P = ParamSpec("P")
T = TypeVar("T")

Message = Tick | str | TrainingRecord
"""What a measuring process sends: its progress, a warning in one line, its record."""

THREADS: Final = "OMP_NUM_THREADS"
WAITING: Final = {"GOMP_SPINCOUNT": "1000", "OMP_WAIT_POLICY": None}
"""How long GNU OpenMP's threads spin while they wait, unless the user has set one of these.

By default they spin for milliseconds, on the core that a thread delayed by another process needs (docs/dev/busy.md).
"""

SECONDS_TO_STOP: Final = 10.0
"""How long a process may take to save its state before it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """A case to be measured, and all that its record and its checkpoints need."""

    case: Case
    provenance: Provenance
    checkpoint: Path | None
    """Where the training resumes from and saves to."""
    seconds_between_checkpoints: float
    traceback: Path | None = None
    """Where to write the traceback of an error that is not the user's; None: standard error."""


def _clean_context(execution: Execution = "fast") -> "ForkServerContext | SpawnContext":
    """Return how a process is made that shares nothing with this one: by the fork server, on Linux, or spawned.

    OpenMP reads its settings once, when torch is imported. The fork server has imported it with those of the fast
    execution, and plain is to be PyTorch's own: its processes are spawned.
    """
    forked = sys.platform == "linux" and execution == "fast"
    context = multiprocessing.get_context("forkserver") if forked else multiprocessing.get_context("spawn")
    context.set_forkserver_preload(["fashionbench.running.process"])
    return context


def start_fork_server() -> None:
    """Start the process that others are forked from on Linux, so that its imports run while this one does other work.

    It has imported what measuring needs, and done nothing else.
    """
    if sys.platform == "linux":
        from multiprocessing.forkserver import ensure_running  # noqa: PLC0415 - Windows has none

        _clean_context()  # says what to import
        unmasked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # it inherits that: Ctrl-C is this one's
        try:
            with _threads_that_wait_briefly():
                ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unmasked)


@contextmanager
def _threads_that_wait_briefly() -> Iterator[None]:
    """Let a process that is started in the block have OpenMP's threads give their core free soon."""
    if any(name in os.environ for name in WAITING):
        yield
        return
    os.environ |= {name: value for name, value in WAITING.items() if value}
    try:
        yield
    finally:
        for name in WAITING:
            os.environ.pop(name, None)


def start_fork_server_on_node() -> None:
    """Start the fork server of a Ray worker, with as many threads as it would have without Ray."""
    parent = psutil.Process().parent()
    if parent is None or THREADS not in parent.environ():
        os.environ.pop(THREADS, None)  # Ray sets it for a worker; what was set where the node was started stays
    start_fork_server()


def call_in_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a process of its own, with the settings of the fast execution, and return what it returns.

    An interrupt here ends the process at once.

    Raises:
        BrokenExecutor: The process was killed or crashed.
        Exception: What the function raises.

    """
    start_fork_server()
    return _call(_clean_context(), function, *args, **kwargs)


def call_in_plain_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function as ``call_in_process`` does, but with PyTorch's own settings, as the plain execution has them."""
    return _call(_clean_context("plain"), function, *args, **kwargs)


def call_for(execution: Execution, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a process of its own with the settings of an execution, and return what it returns."""
    return (call_in_plain_process if execution == "plain" else call_in_process)(function, *args, **kwargs)


def _call(
    context: "ForkServerContext | SpawnContext", function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin)
    try:
        return pool.submit(function, *args, **kwargs).result()
    except KeyboardInterrupt:  # nobody waits for the answer any more
        for child in multiprocessing.active_children():
            child.kill()
        raise
    finally:
        pool.shutdown()


def measure_in_process(
    job: Job,
    dataset: Dataset,
    *,
    watch: Callable[[Tick], None],
    warn: Callable[[str], None],
    limit_seconds: float | None,
) -> TrainingRecord:
    """Measure a case in a process of its own; one that crashes or takes too long gives a record of status ``failed``.

    A ``KeyboardInterrupt`` here lets the process save its state before it is raised further.

    Args:
        job: What to measure.
        dataset: All images.
        watch: Called with the progress.
        warn: Called with what went wrong without ending the case, one line each.
        limit_seconds: How long the process may take; None: as long as it needs.

    Raises:
        FashionBenchError: What the case's own checks refuse.

    """
    with closing(messages_of_process(job, dataset, limit_seconds)) as messages:
        for message in messages:
            if isinstance(message, Tick):
                watch(message)
            elif isinstance(message, str):
                warn(message)
            else:
                return message
    raise AssertionError(f"{job.case.name}: no record came")


def messages_of_process(job: Job, dataset: Dataset, limit_seconds: float | None) -> Generator[Message]:
    """Measure a case as ``measure_in_process`` does, and yield its ticks, its warnings and last its record.

    Closed before its end, it lets the process save its state.
    """
    context = _clean_context(job.case.execution)
    start_fork_server()  # with its settings, if it is not there
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, job, dataset), name=job.case.name)
    process.start()
    sender.close()
    try:
        yield from _receive(job, receiver, None if limit_seconds is None else time.monotonic() + limit_seconds)
    except EOFError:
        process.join()
        yield record_failure(job.case, dataset, job.provenance, _how_it_ended(process.exitcode))
    except TimeoutError:
        reason = f"stopped at the limit of {(limit_seconds or 0) / 60:g} min"
        yield record_failure(job.case, dataset, job.provenance, reason)
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
                raise AssertionError(f"{job.case.name}: its process sent {other!r}")


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = ", possibly out of memory" if name == "SIGKILL" else ""
        return f"the process that trained was ended by {name}{hint}"
    return f"the process that trained ended without a result (exit status {exit_code})"


def _work(sender: "Connection[object, object]", job: Job, dataset: Dataset) -> None:
    """Measure, in the process, and send ticks, warnings and the record."""
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all its processes; the parent decides
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    _begin()
    checkpoints = None
    if job.checkpoint is not None:
        checkpoints = Checkpoints(
            job.checkpoint, stop=stop.is_set, seconds_between=job.seconds_between_checkpoints, warn=sender.send
        )
    supervision = Supervision(watch=sender.send, warn=sender.send, checkpoints=checkpoints)
    with suppress(Stopped):
        try:
            sender.send(measure_training(job.case, dataset, job.provenance, supervision))
        except FashionBenchError as error:
            sender.send(error)
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - a user's model may raise anything, and its case alone is lost
            _keep_traceback(job, sender)
            sender.send(record_failure(job.case, dataset, job.provenance, describe_error(error)))


def _keep_traceback(job: Job, sender: "Connection[object, object]") -> None:
    """Write the traceback of the error at hand where the job says, or to standard error."""
    if job.traceback is not None:
        with suppress(OSError):
            job.traceback.parent.mkdir(parents=True, exist_ok=True)
            job.traceback.write_text(traceback.format_exc(), encoding="utf-8")
            sender.send(f"{job.case.name}: the traceback of its error is in {job.traceback}")
            return
    traceback.print_exc()


def _begin() -> None:
    """Limit this process to the CPUs that it may use, and end it at once when its parent is gone.

    The next run must find the folder its own.
    """
    limit_threads()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
