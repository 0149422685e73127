"""How the text of an option becomes a value, or a message that says what is wrong with it. No torch here."""

import math
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, TypeVar

from fashionbench.errors import InputError

__all__ = [
    "EVERY_DEVICE",
    "MOST_SEEDS",
    "budgets",
    "count",
    "devices",
    "image_size",
    "number",
    "one_of",
    "optional",
    "png",
    "prices",
    "seeds",
    "shapes",
    "some_of",
    "words",
]

MOST_SEEDS: Final = 1_000

MOST_PRICES: Final = 100

MOST_BUDGETS: Final = 20

LONGEST_BUDGET: Final = 100_000
"""Minutes."""

LARGEST_SIDE: Final = 4096
"""Pixels."""

EVERY_DEVICE: Final = ("all",)
"""What ``--devices all`` is read as."""

DEVICE: Final = re.compile(r"cpu|mps|(cuda|xpu)(:(0|[1-9][0-9]*))?")

SHOWN: Final = 60
"""Characters of a wrong text that a message quotes."""

T = TypeVar("T")

Word = TypeVar("Word", bound=str)


def optional(parse: Callable[[str], T]) -> Callable[[str], T | None]:
    """Return a parser that reads an empty text as None."""
    return lambda text: parse(text) if text else None


def png(text: str) -> Path:
    """Return the path of a PNG file.

    Raises:
        InputError: Its name has another ending.

    """
    if not text.lower().endswith(".png"):
        raise InputError(
            f"invalid preview {text[:SHOWN]!r}",
            expected="a file whose name ends in .png",
            remedy="give --preview a path such as sheet.png",
        )
    return Path(text)


def image_size(text: str) -> tuple[int, int]:
    """Return a height and width: ``64`` is both, ``64x48`` one each.

    Raises:
        InputError: No such size.

    """
    found = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", text.strip().lower(), re.ASCII)
    height, width = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        raise InputError(
            f"invalid image-size {text[:SHOWN]!r}",
            expected=f"a number of pixels up to {LARGEST_SIDE:,} such as 64, or height and width such as 64x48",
            remedy="give --image-size such a size",
        )
    return height, width


def one_of(option: str, known: tuple[Word, ...]) -> Callable[[str], Word]:
    """Return a parser of one of some words."""

    def parse(text: str) -> Word:
        for word in known:
            if text == word:
                return word
        raise InputError(
            f"unknown {option} {text[:SHOWN]!r}",
            expected=f"one of {', '.join(known)}",
            remedy=f"give --{option} one of those",
        )

    return parse


def some_of(option: str, known: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of a comma-separated list of some words."""

    def parse(text: str) -> tuple[str, ...]:
        parts = words(text)
        for part in parts:
            if part not in known:
                raise InputError(
                    f"unknown {option} {part[:SHOWN]!r}",
                    expected=f"one or more of {', '.join(known)}",
                    remedy=f"give --{option} those, separated by commas",
                )
        return parts

    return parse


def number(option: str, *, example: str, positive: bool = False, most: float = math.inf) -> Callable[[str], float]:
    """Return a parser of a finite number that is not negative, and not 0 either where it must be positive."""
    if positive:
        limits = "more than 0" if most == math.inf else f"more than 0 and up to {most:,}"
    else:
        limits = "0 or more" if most == math.inf else f"0 to {most:g}"

    def parse(text: str) -> float:
        found = _number(text)
        if found is None or found > most or (positive and not found):
            raise InputError(
                f"invalid {option} {text[:SHOWN]!r}",
                expected=f"a number, {limits}, such as {example}",
                remedy=f"give --{option} such a number",
            )
        return found

    return parse


def budgets(text: str) -> tuple[float, ...]:
    """Return minutes of training in ascending order, each once: ``1,2,4,8``; none for an empty text.

    Raises:
        InputError: One of them is no number above 0, or there are too many.

    """
    found = [_number(part) for part in text.split(",")[: MOST_BUDGETS + 1]] if text else []
    if len(found) > MOST_BUDGETS or not all(each is not None and 0 < each <= LONGEST_BUDGET for each in found):
        raise InputError(
            f"invalid budgets {text[:SHOWN]!r}",
            expected=f"up to {MOST_BUDGETS} numbers of minutes above 0 and up to {LONGEST_BUDGET:,}, such as 1,2,4,8",
            remedy="give --budgets such numbers, separated by commas",
        )
    return tuple(sorted({float(f"{each:g}") for each in found if each is not None}))  # six digits, as they are shown


def _number(text: str) -> float | None:
    """Return a finite number that is not negative, None where the text is no such number."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if 0 <= found < math.inf else None


def words(text: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated list, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",")))


def shapes(text: str) -> tuple[tuple[int, int, int], ...]:
    """Return shapes of images, channels x height x width: ``1x28x28`` or ``3x64x64,3x224x224``.

    Raises:
        InputError: One of them is none.

    """
    found = []
    for part in words(text):
        if not re.fullmatch(r"[1-9]\d{0,3}x[1-9]\d{0,4}x[1-9]\d{0,4}", part, re.ASCII):
            raise InputError(
                f"invalid shape {part[:SHOWN]!r}",
                expected="channels x height x width, such as 1x28x28",
                remedy="give --shape one of these, or several separated by commas",
            )
        channels, height, width = map(int, part.split("x"))
        found.append((channels, height, width))
    return tuple(found)


def devices(text: str) -> tuple[str, ...]:
    """Return the devices, each once and ``cuda:0`` as ``cuda``; ``all`` stands alone.

    Raises:
        InputError: A name is of no kind of device.

    """
    parts = words(text)
    for part in parts:
        if parts != EVERY_DEVICE and not DEVICE.fullmatch(part):
            raise InputError(
                f"unknown device {part[:SHOWN]!r}",
                expected="cpu, cuda, cuda:N, mps, xpu, xpu:N or all",
                remedy="give --devices one of these, or several separated by commas",
            )
    return tuple(dict.fromkeys(part.removesuffix(":0") for part in parts))


def seeds(text: str) -> tuple[int, ...]:
    """Return the seeds: a single number says how many (``3``: 0, 1, 2), a list says which (``0,7`` or ``7,``).

    Raises:
        InputError: No such number or list.

    """
    parts = [part.strip() for part in text.removesuffix(",").split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts) or len(text) > 10 * MOST_SEEDS:
        raise InputError(
            f"unknown seeds {text[:SHOWN]!r}",
            expected="a number such as 3, or a list such as 0,1,2",
            remedy="give --seeds one of those",
        )
    numbers = tuple(dict.fromkeys(int(part) for part in parts))
    found = numbers if "," in text else tuple(range(min(numbers[0], MOST_SEEDS + 1)))
    if not 1 <= len(found) <= MOST_SEEDS or max(found) >= 2**32:
        raise InputError(
            f"seeds {text[:SHOWN]!r} are out of range",
            expected=f"1 to {MOST_SEEDS:,} seeds, each below 2^32",
            remedy="give --seeds a number such as 3, or a list such as 0,1,2",
        )
    return found


def count(option: str, *, most: int) -> Callable[[str], int]:
    """Return what reads how many of something an option asks for."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
            raise InputError(
                f"invalid {option} {text[:SHOWN]!r}",
                expected=f"a number from 1 to {most:,}, such as 20",
                remedy=f"give --{option} such a number",
            )
        return int(text)

    return read


def prices(text: str) -> dict[str, float]:
    """Return the price of an hour by device: ``cuda=1.20,cpu=0.05``.

    Raises:
        InputError: No such prices.

    """
    found: dict[str, float] = {}
    for part in text.split(",")[:MOST_PRICES] if text else []:
        device, _, amount = part.partition("=")
        price = _number(amount)
        if price is None:
            raise InputError(
                f"invalid price-per-hour {part.strip()[:SHOWN]!r}",
                expected="a device and a number, 0 or more, such as cpu=0.05",
                remedy="give --price-per-hour such prices, separated by commas",
            )
        found[device.strip()] = price
    return found
