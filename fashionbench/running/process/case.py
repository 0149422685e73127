"""A case measured in a process of its own: whatever becomes of it, there is a record."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from fashionbench.data.dataset import Dataset
from fashionbench.errors import FashionBenchError
from fashionbench.records.files import write_atomically
from fashionbench.records.record import TrainingRecord
from fashionbench.running.process.child import (
    SECONDS_TO_STOP,
    Child,
    ChildEndedError,
    Failure,
    open_child,
    prepare_child,
)
from fashionbench.running.process.server import clean_context, start_fork_server
from fashionbench.training.case import Case
from fashionbench.training.checkpoint import Checkpoints, Stopped
from fashionbench.training.identity import Provenance
from fashionbench.training.loop import Supervision, Tick
from fashionbench.training.measure import measure_training, record_failure

__all__ = ["Job", "Message", "keep_traceback", "measure_in_process", "messages_of_process"]

Message = Tick | str | TrainingRecord
"""What a measuring process sends: its progress, a warning in one line, its record."""


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
    context = clean_context()
    start_fork_server()
    deadline = None if limit_seconds is None else time.monotonic() + limit_seconds
    with open_child(context, _work, job, dataset, name=job.case.name, seconds=SECONDS_TO_STOP) as child:
        try:
            yield from _receive(job, dataset, child, deadline)
        except ChildEndedError as error:
            yield record_failure(job.case, dataset, job.provenance, str(error))
        except TimeoutError:
            reason = f"stopped at the limit of {(limit_seconds or 0) / 60:g} min"
            yield record_failure(job.case, dataset, job.provenance, reason)


def _receive(job: Job, dataset: Dataset, child: Child, deadline: float | None) -> Iterator[Message]:
    while True:
        match child.receive(deadline):
            case TrainingRecord() as record:
                yield record
                return
            case Tick() | str() as message:
                yield message
            case FashionBenchError() as error:
                raise error
            case Failure() as failure:
                if job.traceback is None:
                    sys.stderr.write(failure.traceback)
                elif keep_traceback(job.traceback, failure.traceback):
                    yield f"{job.case.name}: the traceback of its error is in {job.traceback}"
                yield record_failure(job.case, dataset, job.provenance, failure.reason)
                return
            case other:
                raise ChildEndedError(f"its process sent an unexpected {type(other).__name__}")


def keep_traceback(path: Path, traceback: str) -> bool:
    """Write a traceback next to the records; return whether that was possible."""
    try:
        write_atomically(path, traceback.encode(errors="replace"))
    except OSError:
        return False
    return True


def _work(sender: "Connection[object, object]", job: Job, dataset: Dataset) -> None:
    """Measure, in the process, and send ticks, warnings and the record."""
    prepare_child()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
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
        except BaseException as error:  # a user's model may raise anything, SystemExit included
            sender.send(Failure.of(error))
