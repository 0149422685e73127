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
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from fashionbench.errors import SetupError
from fashionbench.running.program import ENDING

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

if sys.platform == "linux":
    import fcntl
    from multiprocessing import forkserver, resource_tracker

__all__ = [
    "clean_context",
    "drop_threads_of_ray",
    "start_fork_server",
    "start_fork_server_on_node",
]

THREADS: Final = "OMP_NUM_THREADS"
PRELOADED: Final = "fashionbench.running.process.case"
"""What the fork server imports: all that measuring needs."""

LONGEST_FOLDER: Final = 50
"""Characters of a temporary folder's path that leave room for a socket, whose path may have 107."""

SOCKET_PREFIX: Final = "socket-of-fashionbench-"

PR_SET_CHILD_SUBREAPER: Final = 36
"""From Linux's prctl.h."""


def clean_context() -> "ForkServerContext | SpawnContext":
    """Return how a process is made that shares nothing with this one: by the fork server, on Linux, or spawned."""
    linux = sys.platform == "linux"
    context = multiprocessing.get_context("forkserver") if linux else multiprocessing.get_context("spawn")
    context.set_forkserver_preload([PRELOADED])
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
    def _prepare_once() -> None:
        """Adopt what processes leave behind when they end, and give multiprocessing a folder for its socket.

        Its own choice is below TMPDIR, whose path may be too long for a socket, and nobody could tell the folder of a
        killed run from another program's.

        Raises:
            SetupError: No folder for temporary files can be written.

        """
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            parent = Path(tempfile.gettempdir())
            if len(str(parent)) > LONGEST_FOLDER:
                parent = Path("/tmp")  # noqa: S108 - mkdtemp makes a folder of its own in it
            _remove_folders_of_killed_runs(parent)
            folder = Path(tempfile.mkdtemp(prefix=SOCKET_PREFIX, dir=parent))
        except OSError as error:
            raise SetupError(
                f"no folder for temporary files can be written ({error.strerror or error})",
                expected="a folder with free space, such as /tmp",
                remedy="set TMPDIR to such a folder",
            ) from error
        _lock(folder)
        # after multiprocessing, which removes its own folder in this one at priority -100
        multiprocessing.util.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-101)
        before, tempfile.tempdir = tempfile.tempdir, str(folder)
        try:
            multiprocessing.util.get_temp_dir()  # it keeps its first answer
        finally:
            tempfile.tempdir = before

    def _remove_folders_of_killed_runs(parent: Path) -> None:
        for folder in parent.glob(f"{SOCKET_PREFIX}*"):
            with suppress(OSError):  # another user's, or one that has just gone
                if folder.stat().st_uid == os.getuid() and _lock(folder):
                    shutil.rmtree(folder, ignore_errors=True)

    def _lock(folder: Path) -> bool:
        """Lock a folder until this process ends; return whether nobody else has it locked."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        return True
