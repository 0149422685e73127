"""What a network's code can change or reach: its attributes, and the variables outside of it that it names."""

import io
import os
import pickle
import sys
import sysconfig
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from functools import cache, partial
from types import BuiltinFunctionType, CodeType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any
from weakref import ReferenceType

import torch
from torch import Tensor, nn

__all__ = ["State", "asks_for_classes", "is_independent"]

_ATOMS = (type, FunctionType, ModuleType, torch.jit.ScriptModule)
_HOLDERS = {
    MethodType: "__func__",
    classmethod: "__func__",
    staticmethod: "__func__",
    property: "fget",
    partial: "func",
}
"""What holds a function, and the name by which it does."""
_OURS = __name__.partition(".")[0]


class State(pickle.Pickler):
    """A network's attributes, in whatever objects they are, and the variables outside of it that its code names.

    Tensors count by identity, version and content, so that a tensor that was replaced or written to makes another
    state, also where torch does not count it, as by ``data`` or NumPy.

    Args:
        network: The network.
        apart: Identities of tensors of which any version is the same state.

    Raises:
        Exception: It has an attribute that cannot be pickled, such as a lock.

    """

    def __init__(self, network: nn.Module, apart: Iterable[int] = ()) -> None:
        content = io.BytesIO()
        super().__init__(content)
        self._apart = frozenset(apart)
        self._met: list[object] = []  # kept, so that no identity is used again
        self._outside = False
        self.dump(network)
        self.identities = frozenset(map(id, self._met))
        self._outside = True
        self.dump(dict(os.environ))
        for each in _find_outside(network):
            with suppress(Exception):  # what cannot be pickled, such as a file, counts as unchanged
                self.dump(each)
        self.content = content.getvalue()

    def persistent_id(self, each: object) -> object:
        """Return what stands for an object that is not pickled; None for one that is."""
        if isinstance(each, (nn.Module, Tensor)):
            self._met.append(each)
        if isinstance(each, Tensor):
            return id(each), id(each) in self._apart or (each._version, _checksum(each))  # noqa: SLF001 - torch has no public name for it
        if isinstance(each, BuiltinFunctionType) and isinstance(each.__self__, (type, ModuleType, type(None))):
            return id(each)
        if not isinstance(each, _ATOMS):
            return None
        closure = getattr(each, "__closure__", None) or ()
        return id(each), [cell.cell_contents for cell in closure]

    def reducer_override(self, each: object) -> tuple[Callable[..., Any], tuple[Any, ...], Any]:
        """Return how an object is pickled: a module by its attributes, whatever it says of itself."""
        reduced: Any = NotImplemented
        if isinstance(each, nn.Module):
            reduced = type(each), (), object.__getstate__(each)
        elif isinstance(each, ReferenceType):
            reduced = type(each), (), each()
        elif isinstance(each, ContextVar):
            reduced = type(each), (), each.get(None)
        elif isinstance(each, GeneratorType):
            reduced = type(each), (), each.gi_frame and (each.gi_frame.f_lasti, each.gi_frame.f_locals)
        elif self._outside:
            try:
                reduced = each.__reduce_ex__(pickle.DEFAULT_PROTOCOL)
            except (TypeError, pickle.PicklingError):  # a lock, say, of an object whose other attributes count
                reduced = type(each), (), getattr(each, "__dict__", None)
        return reduced  # type: ignore[no-any-return]  # as pickle's documentation has it


def _checksum(tensor: Tensor) -> int | None:
    """Return a checksum of a tensor's content; None where its content is no plain array on the CPU."""
    try:
        return zlib.crc32(tensor.detach().flatten().view(torch.uint8).numpy().data)
    except (RuntimeError, TypeError, ValueError):
        return None


def is_independent(network: nn.Module, original: nn.Module) -> bool:
    """Say whether a network reaches none of the modules and tensors of the one that it is a copy of.

    A copy of a network whose functions close over it does, and then it computes with the original's layers.
    """
    try:
        return State(network).identities.isdisjoint(State(original).identities)
    except Exception:
        return False


def _find_outside(network: nn.Module) -> Iterator[object]:
    """Yield what a network's own code finds outside of it, but for functions, classes and modules.

    These are global variables, those that functions close over, their defaults and attributes, and attributes of
    classes and of the user's other modules. The code of installed packages is passed over.
    """
    for each in _find_code(network):
        for value in _named_by(each):
            if not isinstance(_held_by(value), (FunctionType, type)):
                yield value


def asks_for_classes(network: nn.Module) -> bool:
    """Say whether a network's own code may ask for the exact class of something."""
    functions = (each for each in _find_code(network) if isinstance(each, FunctionType))
    return any(not {"type", "__class__"}.isdisjoint(_names_in(each.__code__)) for each in functions)


def _find_code(network: nn.Module) -> Iterator[FunctionType | type]:
    """Yield a network's own functions and classes, and those that they name."""
    waiting: list[object] = [type(each) for each in network.modules()]
    waiting += [value for each in network.modules() for value in vars(each).values()]
    seen: set[int] = set()
    while waiting:
        each = _code_of(waiting.pop())
        if id(each) not in seen and not _is_installed(each.__module__):
            seen.add(id(each))
            waiting += _named_by(each)
            yield each


def _held_by(value: object) -> object:
    """Return the function of a method, a property or the like; anything else as it is."""
    while name := _HOLDERS.get(type(value)):
        value = getattr(value, name)
    return value


def _code_of(value: object) -> FunctionType | type:
    """Return a function or a class itself, and the class of anything else."""
    held = _held_by(value)
    return held if isinstance(held, (FunctionType, type)) else type(held)


def _named_by(each: FunctionType | type) -> Iterator[object]:
    """Yield what stands behind the names in a function's code, or what a class has."""
    if isinstance(each, type):
        yield from each.__mro__[1:]
        yield from (value for name, value in vars(each).items() if name not in {"__dict__", "__weakref__"})
        return
    yield from (cell.cell_contents for cell in each.__closure__ or ())
    yield from (each.__defaults__, each.__kwdefaults__, *vars(each).values())
    names = set(_names_in(each.__code__))
    spaces: list[dict[str, Any]] = [each.__globals__, sys.modules]
    for space in spaces:  # which grow by the modules that are found
        for value in [space[name] for name in names & space.keys()]:
            if not isinstance(value, ModuleType):
                yield value
            elif not _is_installed(value.__name__) and not any(vars(value) is known for known in spaces):
                spaces.append(vars(value))


def _names_in(code: CodeType) -> Iterator[str]:
    """Yield the names of variables and attributes in code, and in the functions and comprehensions within.

    Texts count as names, too: ``globals()["count"]``.
    """
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names_in(each)
        elif isinstance(each, str):
            yield each


@cache
def _is_installed(module: str) -> bool:
    root = module.partition(".")[0]
    file = str(getattr(sys.modules.get(root), "__file__", ""))
    return root in sys.stdlib_module_names or root == _OURS or file.startswith(sysconfig.get_paths()["purelib"])
