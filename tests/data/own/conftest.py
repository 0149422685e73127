"""What tests of the user's own data share."""

from collections.abc import Callable
from types import SimpleNamespace

import psutil
import pytest


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the machine have so many bytes of memory."""

    def have(total: int) -> None:
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=total))

    return have
