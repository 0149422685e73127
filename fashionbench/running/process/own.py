"""A user's model, whose module may do anything when it is imported: that happens in processes of its own only."""

from fashionbench.data.dataset import Task
from fashionbench.errors import InputError
from fashionbench.models.description import Fit, find_fit
from fashionbench.models.registry import find_builder, is_own
from fashionbench.running.process.call import CallFailedError, call_in_process, call_within, seconds_to_answer
from fashionbench.training.identity import model_digest

__all__ = ["digest_in_process", "find_fit_in_process", "require_model"]


def require_model(name: str, limit_minutes: float | None) -> None:
    """Require that a model is there.

    Args:
        name: As in ``--models``.
        limit_minutes: What ``--limit`` says, which holds for the import of a user's module, too.

    Raises:
        InputError: There is no such model, or its module cannot be imported.
        SetupError: Its library is not installed.

    """
    if not is_own(name):
        find_builder(name)
        return
    try:
        call_within(seconds_to_answer(limit_minutes), _import, name)
    except CallFailedError as error:
        raise InputError(
            f"model {name[:80]!r} cannot be loaded ({error.reason})",
            expected="a module whose import ends, and raises no error",
            remedy="correct the module, or choose another model with --models",
        ) from None


def _import(name: str) -> None:
    find_builder(name)


def digest_in_process(name: str, limit_minutes: float | None) -> str:
    """Return the digest of a model's source.

    Args:
        name: As in ``--models``.
        limit_minutes: What ``--limit`` says, which holds for the import of a user's module, too.

    Raises:
        InputError: There is no such model, or its module cannot be imported.

    """
    if not is_own(name):
        return model_digest(name)
    try:
        return call_within(seconds_to_answer(limit_minutes), model_digest, name)
    except CallFailedError as error:
        raise InputError(
            f"the source of model {name[:80]!r} cannot be read ({error.reason})",
            expected="a module that can be imported again and again",
            remedy="correct the module, or choose another model with --models",
        ) from None


def find_fit_in_process(name: str, task: Task) -> Fit:
    """Return whether a network fits a task, as ``find_fit`` does."""
    if not is_own(name):
        return find_fit(name, task)
    try:
        return call_in_process(find_fit, name, task)
    except CallFailedError as error:
        return Fit(misfit=error.reason)
