"""FashionBench: is the bigger model worth it?

The public functions load on first use, so that importing the package, or a module that needs no statistics, is instant.
"""

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fashionbench.judging.verdict import Verdict, decide
    from fashionbench.records.reading import read_records

__all__ = ["Verdict", "decide", "read_records"]

_MODULES: Final = MappingProxyType(
    {
        "Verdict": "fashionbench.judging.verdict",
        "decide": "fashionbench.judging.verdict",
        "read_records": "fashionbench.records.reading",
    }
)


def __getattr__(name: str) -> object:
    """Import a public name on its first use."""
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """List the public names for completion, loaded or not."""
    return sorted({*globals(), *__all__})
