"""What must be right before an hour of training: checked in seconds, and what would fail fails here."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from fashionbench.errors import SetupError

__all__ = ["check_output", "check_pango"]

OUTPUT_BYTES_NEEDED: Final = 200 * 1024**2
"""Room for a large run's records, benchmark JSON and report."""


def check_pango() -> None:
    """Require that WeasyPrint finds Pango, which the PDF needs and pip cannot bring.

    Raises:
        SetupError: It does not; the message holds the one command that brings it.

    """
    try:
        import weasyprint  # noqa: F401, PLC0415 - its import is the check
    except OSError as error:
        command = (
            "brew install pango"
            if sys.platform == "darwin"
            else "sudo apt-get install -y libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
        )
        raise SetupError(
            f"the library Pango is missing ({str(error).partition(chr(10))[0][:120]})",
            expected="Pango, for the PDF report",
            remedy=f"run: {command}",
        ) from error


def check_output(out: Path) -> None:
    """Require that the output folder can be made and written, on a disk with room.

    Raises:
        SetupError: It cannot, or the disk is nearly full.

    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise SetupError(
            f"the output folder {out} cannot be written ({error.strerror})",
            expected="a writable folder",
            remedy="choose another with --out",
        ) from error
    free = shutil.disk_usage(out).free
    if free < OUTPUT_BYTES_NEEDED:
        raise SetupError(
            f"{free / 1024**2:.0f} MiB free where {out} lies",
            expected=f"at least {OUTPUT_BYTES_NEEDED / 1024**2:.0f} MiB",
            remedy="free some space, or choose another folder with --out",
        )
