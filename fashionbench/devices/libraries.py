"""Whether torch and torchvision can be used: found out before anything else imports them."""

import warnings
from importlib import import_module, metadata

from fashionbench.errors import SetupError

__all__ = ["require_torch"]


def require_torch() -> None:
    """Import torch and torchvision.

    Raises:
        SetupError: One is missing, or the two are not made for each other.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision warns before it fails
            for name in ("torch", "torchvision"):
                import_module(name)
    except (AttributeError, ImportError, OSError, RuntimeError) as error:
        # what torchvision raises where its compiled operators do not fit depends on its version
        reason = str(error).strip().partition("\n")[0]
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
