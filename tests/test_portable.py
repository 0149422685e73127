"""No module of the package imports, at its top, what only some systems have."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fashionbench"
UNIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
WINDOWS_ONLY = {"msvcrt", "winreg", "winsound"}


def imported(path: Path) -> set[str]:
    """Return the modules that are imported whatever the system; what is under an ``if`` is not."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_can_be_imported_on_every_system(path: Path) -> None:
    assert not imported(path) & (UNIX_ONLY | WINDOWS_ONLY)
