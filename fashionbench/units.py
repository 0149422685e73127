"""Numbers as text: rounded once, half to even, so that a number looks the same everywhere."""

import math
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

__all__ = [
    "MISSING",
    "SPACE",
    "add_up",
    "bare",
    "budget",
    "count",
    "decimals",
    "digits_to_follow",
    "fixed",
    "interval_pp",
    "interval_ratio",
    "join_phrases",
    "mebibytes",
    "megaflops",
    "millions",
    "milliseconds",
    "minutes",
    "money",
    "percent",
    "pp",
    "price",
    "ratio",
    "ratio_digits",
    "rounded",
    "seconds",
    "shown_parts",
    "signed",
    "significant",
    "with_interval",
]

MISSING: Final = "–"
"""Shown for a number that was not measured; never 0."""

MINUS: Final = "\N{MINUS SIGN}"

EXACT: Final = 1e15
"""From here on, a number has more digits than it was measured with, and is shown as a power of ten."""

SPACE: Final = "\N{NO-BREAK SPACE}"


def fixed(value: float | None, digits: int) -> str:
    """Return a number with some decimals, commas between thousands, and a true minus sign."""
    if value is None:
        return MISSING
    if not abs(value) < EXACT:
        return f"{value:.1e}".replace("-", MINUS)
    rounded = _quantize(value, digits)
    return f"{abs(rounded) if rounded == 0 else rounded:,f}".replace("-", MINUS)


def _quantize(value: float, digits: int) -> Decimal:
    return Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)


def rounded(value: float, digits: int) -> float:
    """Return a number as rounded for display."""
    return float(_quantize(value, digits))


def significant(value: float, digits: int = 3) -> str:
    """Return a number with some significant digits, zeros for the rest, and commas between thousands: ``4,500``."""
    place = digits - 1 - Decimal(repr(float(value))).adjusted() if value else 0
    return fixed(rounded(value, place), max(0, place))


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


def digits_to_follow(
    parts: Sequence[float], combine: Callable[..., float], show: Callable[[float], str], digits: int = 1
) -> int:
    """Return how many decimals the parts need at least, so that the shown result follows from the shown parts.

    Args:
        parts: What the result is computed from.
        combine: Computes it from the parts.
        show: Formats the result.
        digits: The number of decimals to start with.

    """
    wanted = show(combine(*parts))
    for number in range(digits, digits + 5):
        shown = [rounded(each, number) for each in parts]
        if all(map(bool, shown)) == all(map(bool, parts)) and show(round(combine(*shown), 9)) == wanted:
            return number
    return digits + 5


def shown_parts(parts: Sequence[float], combine: Callable[..., float], show: Callable[[float], str]) -> list[str]:
    """Return parts with the fewest significant digits, two at least, with which the shown result follows from them.

    Args:
        parts: What the result is computed from.
        combine: Computes it from the parts.
        show: Formats the result.

    """
    wanted = show(combine(*parts))
    for digits in range(2, 9):
        texts = [significant(each, digits) for each in parts]
        if show(round(combine(*(float(each.replace(",", "")) for each in texts)), 9)) == wanted:
            break
    return texts


def add_up(values: Sequence[float]) -> list[int]:
    """Return numbers rounded to integers that add up to their rounded total, by the largest remainder."""
    whole = [math.floor(each) for each in values]
    order = sorted(range(len(values)), key=lambda index: (whole[index] - values[index], index))
    for index in order[: round(sum(values)) - sum(whole)]:
        whole[index] += 1
    return whole


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


def ratio_digits(high: float) -> int:
    """Return the decimals of a ratio whose interval has this upper end: one more where it is below 1."""
    return 2 if high < 1 else 1


def interval_ratio(low: float, high: float, digits: int | None = None) -> str:
    """Return an interval of a ratio: ``3.9 to 4.5 ×``, ``0.89 to 0.95 ×``."""
    digits = ratio_digits(high) if digits is None else digits
    return f"{fixed(low, digits)} to {fixed(high, digits)}{SPACE}×"


def minutes(value: float | None, digits: int = 1) -> str:
    """Return minutes: ``19.4 min``."""
    return MISSING if value is None else f"{fixed(value, digits)}{SPACE}min"


def budget(minutes: float) -> str:
    """Return a budget with the digits that it was given with: ``0.5 min``."""
    return f"{minutes:g}{SPACE}min"


def decimals(*values: float) -> int:
    """Return how many decimals show the smallest of some minutes or seconds to about a tenth of its value."""
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


def join_phrases(phrases: Sequence[str]) -> str:
    """Return phrases as a list in a sentence: ``a``, ``a and b``, ``a, b and c``; empty if there are none."""
    return " and ".join(each for each in (", ".join(phrases[:-1]), *phrases[-1:]) if each)
