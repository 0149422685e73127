"""Whether torch and torchvision can be used: found out before anything else imports them."""

import atexit
import gc
import warnings
from importlib import import_module, metadata
from typing import Final

from fashionbench.errors import SetupError

__all__ = ["require_torch"]

OUT_OF_MEMORY: Final = "failed to map segment"
"""What the dynamic loader of Linux says where there is not enough memory for a library."""


def require_torch() -> None:
    """Import torch and torchvision.

    Raises:
        SetupError: One is missing or cannot be read, or the two are not made for each other.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision warns before it fails
            for name in ("torch", "torchvision"):
                import_module(name)
        atexit.register(gc.freeze)  # else Python looks through half a million objects of theirs at its end
    except (AttributeError, ImportError, OSError, RuntimeError) as error:
        # what torchvision raises where its compiled operators do not fit depends on its version
        reason = str(error).strip().partition("\n")[0]
        if (isinstance(error, OSError) and error.errno is not None) or OUT_OF_MEMORY in reason:
            raise SetupError(
                f"{_version('torch')} cannot be imported ({reason[:160]})",
                expected="enough memory, files that can be read, and a folder with free space for temporary ones",
                remedy="close other programs, free some space, or set TMPDIR to such a folder",
            ) from error
        raise SetupError(
            f"{_version('torch')} and {_version('torchvision')} do not work together "
            f"({type(error).__name__}: {reason[:160]})",
            expected="releases that were made for each other, as constraints.txt names them",
            remedy="run: python -m pip install --force-reinstall --constraint constraints.txt torch torchvision",
        ) from error


def _version(library: str) -> str:
    try:
        return f"{library} {metadata.version(library)}"
    except metadata.PackageNotFoundError:
        return f"{library} (not installed)"
