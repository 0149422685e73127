"""How an error that nobody catches is shown by the fork server, the only one to import this, and by its children."""

import pickle
import sys
import traceback
from types import TracebackType

__all__ = ["show_error"]


def show_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show an error as Python does, unless it says that a job was cut short while it was handed over.

    The process that handed it over was killed then. Such an error is raised in multiprocessing's own code; one that is
    raised in a model's is shown.
    """
    is_cut_short = kind is EOFError or (kind is pickle.UnpicklingError and "truncated" in str(error))
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(trace)]
    if not (is_cut_short and modules[-1].startswith("multiprocessing.")):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = show_error
