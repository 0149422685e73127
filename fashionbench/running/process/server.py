"""How processes are made: by the fork server, on Linux; spawned elsewhere."""

import ctypes
import multiprocessing
import multiprocessing.util
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Final

import psutil

from fashionbench.records.files import claim_folder
from fashionbench.running.program import ENDING

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

    from filelock import BaseFileLock

if sys.platform == "linux":
    from multiprocessing import forkserver, resource_tracker

__all__ = [
    "clean_context",
    "drop_threads_of_ray",
    "start_fork_server",
    "start_fork_server_on_node",
]

THREADS: Final = "OMP_NUM_THREADS"
PRELOADED: Final = ("fashionbench.running.process.excepthook", "fashionbench.running.process.case")
"""What the fork server imports: how it shows errors, and all that measuring needs."""

LONGEST_SOCKET: Final = 107
"""Bytes of the path of a socket, from Linux's un.h."""

WITHIN_FOLDER: Final = "/fashionbench-12345678/pymp-12345678/listener-12345678"
"""How multiprocessing names a socket in our folder for temporary files."""

PR_SET_CHILD_SUBREAPER: Final = 36
"""From Linux's prctl.h."""


def clean_context() -> "ForkServerContext | SpawnContext":
    """Return how a process is made that shares nothing with this one: by the fork server, on Linux, or spawned."""
    linux = sys.platform == "linux"
    context = multiprocessing.get_context("forkserver") if linux else multiprocessing.get_context("spawn")
    context.set_forkserver_preload([*PRELOADED])
    return context


def start_fork_server() -> None:
    """Start the process that others are forked from on Linux, so that its imports run while this one does other work.

    It has imported what measuring needs, and done nothing else. The signals that end a run are blocked in it: the
    terminal or a batch system sends them to all processes of a run, and only the leading one decides what follows.
    """
    if sys.platform == "linux":
        clean_context()  # says what to import
        _prepare_once()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            resource_tracker.ensure_running()  # it lets SIGINT and SIGTERM through again
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_fork_server_on_node() -> None:
    """Start the fork server of a Ray worker, with as many threads as it would have without Ray."""
    parent = psutil.Process().parent()
    drop_threads_of_ray(os.environ, {} if parent is None else parent.environ())
    start_fork_server()


def drop_threads_of_ray(environ: MutableMapping[str, str], of_node: Mapping[str, str]) -> None:
    """Drop the number of threads that Ray sets for a worker; one that was set where the node was started stays."""
    if THREADS not in of_node:
        environ.pop(THREADS, None)


if sys.platform == "linux":

    @cache
    def _prepare_once() -> "BaseFileLock":
        """Adopt what processes leave behind when they end, and give multiprocessing a folder for its socket.

        Its own choice is below TMPDIR, whose path may be too long for a socket, and nobody could tell the folder of a
        killed run from another program's.

        Returns:
            What locks the folder as long as this process lives.

        Raises:
            SetupError: No folder for temporary files can be written.

        """
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        folder, lock = claim_folder(longest=LONGEST_SOCKET - len(WITHIN_FOLDER))
        # after multiprocessing, which removes its own folder in this one at priority -100
        multiprocessing.util.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-101)
        before, tempfile.tempdir = tempfile.tempdir, str(folder)
        try:
            multiprocessing.util.get_temp_dir()  # it keeps its first answer
        finally:
            tempfile.tempdir = before
        return lock
