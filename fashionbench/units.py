"""Numbers as text: rounded once, half to even, so that a number looks the same everywhere."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

__all__ = [
    "MISSING",
    "bare",
    "count",
    "digits_for",
    "fixed",
    "interval_pp",
    "interval_ratio",
    "mebibytes",
    "megaflops",
    "millions",
    "milliseconds",
    "minutes",
    "minutes_digits",
    "money",
    "percent",
    "pp",
    "price",
    "ratio",
    "seconds",
    "signed",
    "with_interval",
]

MISSING: Final = "–"
"""Shown for a number that was not measured; never 0."""

MINUS: Final = "\N{MINUS SIGN}"

SPACE: Final = "\N{NO-BREAK SPACE}"


def fixed(value: float | None, digits: int) -> str:
    """Return a number with some decimals, commas between thousands, and a true minus sign."""
    if value is None:
        return MISSING
    rounded = Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    return f"{abs(rounded) if rounded == 0 else rounded:,f}".replace("-", MINUS)


def signed(value: float | None, digits: int) -> str:
    """Return a number as ``fixed`` does, with a plus sign if it is shown as positive."""
    text = fixed(value, digits)
    return f"+{text}" if value is not None and not text.startswith(MINUS) and text.strip("0.,") else text


def bare(text: str) -> str:
    """Return a formatted number without its unit, for a column with the unit in its header."""
    return text.partition(SPACE)[0]


def with_interval(estimate: str, interval: str) -> str:
    """Return a formatted estimate and its interval without their unit: ``4.2 (3.9 to 4.5)``."""
    return f"{bare(estimate)} ({bare(interval)})"


def digits_for(spread: float) -> int:
    """Return how many decimals a spread supports, 0 to 4: the last one shown is its first significant digit."""
    if not spread > 0:
        return 1
    return min(4, max(0, -Decimal(repr(float(spread))).adjusted()))


def percent(fraction: float | None, digits: int = 1) -> str:
    """Return a fraction in percent: ``91.6 %``."""
    return MISSING if fraction is None else f"{fixed(100 * fraction, digits)}{SPACE}%"


def pp(fraction: float | None, digits: int = 1) -> str:
    """Return a difference of fractions in percentage points: ``+0.2 pp``."""
    return MISSING if fraction is None else f"{signed(100 * fraction, digits)}{SPACE}pp"


def interval_pp(low: float, high: float, digits: int = 1) -> str:
    """Return an interval of a difference of fractions: ``−0.3 to +0.7 pp``."""
    return f"{signed(100 * low, digits)} to {signed(100 * high, digits)}{SPACE}pp"


def ratio(value: float | None, digits: int = 1) -> str:
    """Return a ratio: ``4.2 ×``."""
    return MISSING if value is None else f"{fixed(value, digits)}{SPACE}×"


def interval_ratio(low: float, high: float, digits: int = 1) -> str:
    """Return an interval of a ratio: ``3.9 to 4.5 ×``."""
    return f"{fixed(low, digits)} to {fixed(high, digits)}{SPACE}×"


def minutes(value: float | None, digits: int = 1) -> str:
    """Return minutes: ``19.4 min``."""
    return MISSING if value is None else f"{fixed(value, digits)}{SPACE}min"


def minutes_digits(*values: float) -> int:
    """Return how many decimals show the smallest of some minutes to about a tenth of its value."""
    return 1 if min(values) >= 1 else 2


def seconds(value: float | None, digits: int = 1) -> str:
    """Return seconds: ``0.4 s``."""
    return MISSING if value is None else f"{fixed(value, digits)}{SPACE}s"


def milliseconds(value: float | None, digits: int = 2) -> str:
    """Return seconds as milliseconds: ``0.22 ms``."""
    return MISSING if value is None else f"{fixed(1000 * value, digits)}{SPACE}ms"


def price(minutes_per_pp: float | None, digits: int = 1) -> str:
    """Return a price: ``12.3 min per pp``."""
    return MISSING if minutes_per_pp is None else f"{fixed(minutes_per_pp, digits)}{SPACE}min per pp"


def money(value: float | None) -> str:
    """Return an amount of money to two decimals or two significant digits, without a currency: ``0.0042``."""
    return MISSING if value is None else fixed(value, max(2, 1 - Decimal(repr(value)).adjusted()) if value else 2)


def count(value: float | None) -> str:
    """Return an integer with commas between thousands: ``10,000``."""
    return fixed(value, 0)


def millions(value: float | None) -> str:
    """Return a count in millions: ``11.18 M``."""
    return MISSING if value is None else f"{fixed(value / 1e6, 2)}{SPACE}M"


def megaflops(value: float | None) -> str:
    """Return floating-point operations in millions, without a unit."""
    return MISSING if value is None else fixed(value / 1e6, 0)


def mebibytes(value: float | None) -> str:
    """Return bytes in MiB: ``1,090 MiB``."""
    return MISSING if value is None else f"{fixed(value / 2**20, 0)}{SPACE}MiB"
