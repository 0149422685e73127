"""The process that cases are forked from on Linux: it has imported what measuring needs, and done nothing else."""

import multiprocessing
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext  # Windows has only the second

__all__ = ["clean_context", "start_helper", "start_helper_on_node", "wait_for_helper"]

THREADS: Final = "OMP_NUM_THREADS"


def clean_context() -> "ForkServerContext | SpawnContext":
    """Return how a process is made that shares nothing with this one: forked from the helper, elsewhere spawned."""
    linux = sys.platform == "linux"
    context = multiprocessing.get_context("forkserver") if linux else multiprocessing.get_context("spawn")
    context.set_forkserver_preload(["fashionbench.measure.child"])
    return context


def start_helper() -> None:
    """Start the helper before it is needed, so that its seconds of imports pass beside this process's own."""
    if sys.platform == "linux":
        from multiprocessing.forkserver import ensure_running  # noqa: PLC0415 - Windows has none

        clean_context()  # says what to import
        unmasked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # it inherits that: Ctrl-C is this one's
        try:
            ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unmasked)


def wait_for_helper() -> None:
    """Return when the helper has imported all, so that it takes no time from what is timed next."""
    if sys.platform == "linux":
        start_helper()
        process = clean_context().Process(target=time.sleep, args=(0,))
        process.start()
        process.join()
        process.close()


def start_helper_on_node() -> None:
    """Start the helper of a Ray worker, with as many threads as it would have without Ray."""
    parent = psutil.Process().parent()
    if parent is None or THREADS not in parent.environ():
        os.environ.pop(THREADS, None)  # Ray sets it for a worker; what was set where the node was started stays
    start_helper()
