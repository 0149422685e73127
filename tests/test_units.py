"""Numbers are rounded once, half to even, have true minus signs, and a dash if they were not measured."""

import math
from operator import truediv

import pytest

from fashionbench import units


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (91.55, 1, "91.6"),
        (91.45, 1, "91.4"),
        (0.5, 0, "0"),
        (1.5, 0, "2"),
        (-0.04, 1, "0.0"),
        (-0.26, 1, "−0.3"),
        (1234567.0, 0, "1,234,567"),
        (None, 1, "–"),
    ],
)
def test_rounding_is_half_to_even_of_the_decimal_number(value: float | None, digits: int, text: str) -> None:
    assert units.fixed(value, digits) == text


@pytest.mark.parametrize(("value", "text"), [(0.2, "+0.2"), (-0.2, "−0.2"), (0.0, "0.0"), (0.04, "0.0"), (None, "–")])
def test_a_number_has_a_sign_unless_it_is_shown_as_zero(value: float | None, text: str) -> None:
    assert units.signed(value, 1) == text


def test_a_no_break_space_precedes_the_unit() -> None:
    assert units.percent(0.9155) == "91.6\N{NO-BREAK SPACE}%"
    assert units.pp(0.002) == "+0.2\N{NO-BREAK SPACE}pp"
    assert units.interval_pp(-0.003, 0.007) == "−0.3 to +0.7\N{NO-BREAK SPACE}pp"
    assert units.ratio(4.21) == "4.2\N{NO-BREAK SPACE}×"
    assert units.interval_ratio(3.9, 4.5) == "3.9 to 4.5\N{NO-BREAK SPACE}×"
    assert units.minutes(19.44) == "19.4\N{NO-BREAK SPACE}min"
    assert units.seconds(0.44) == "0.4\N{NO-BREAK SPACE}s"
    assert units.milliseconds(0.000222) == "0.22\N{NO-BREAK SPACE}ms"
    assert units.price(12.34) == "12.3\N{NO-BREAK SPACE}min per pp"
    assert units.millions(11_175_370) == "11.18\N{NO-BREAK SPACE}M"
    assert units.mebibytes(2**30) == "1,024\N{NO-BREAK SPACE}MiB"
    assert units.megaflops(25_562_016) == "26"
    assert units.count(10_000) == "10,000"


def test_a_number_that_was_not_measured_is_a_dash() -> None:
    functions = (
        units.percent, units.pp, units.ratio, units.minutes, units.seconds, units.milliseconds, units.price,
        units.millions, units.megaflops, units.mebibytes, units.count,
    )  # fmt: skip

    assert {function(None) for function in functions} == {"–"}


def test_parts_get_the_decimals_from_which_the_shown_result_follows() -> None:
    parts = (13.3055, 2.0318)  # 13.3 / 2.0 would be 6.7, and it is 6.5

    digits = units.digits_to_follow(parts, truediv, units.ratio)

    assert digits == 3
    assert [units.fixed(each, digits) for each in parts] == ["13.306", "2.032"]


def test_a_part_is_not_shown_as_zero_if_it_is_not() -> None:
    assert units.digits_to_follow((4.02, 0.02), truediv, units.ratio) == 2


def test_a_result_that_never_follows_gets_the_most_decimals() -> None:
    assert units.digits_to_follow((2.0000001, 1e-7), truediv, units.ratio) == 6


@pytest.mark.parametrize(
    ("values", "whole"),
    [
        ([8844.0, 316.33, 326.0, 513.67], [8844, 316, 326, 514]),
        ([0.5, 0.5], [1, 0]),
        ([1 / 3] * 3, [1, 0, 0]),
        ([], []),
    ],
)
def test_rounded_numbers_add_up_to_their_rounded_total(values: list[float], whole: list[int]) -> None:
    assert units.add_up(values) == whole


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4502.3, "4,500"),
        (2485.1, "2,490"),
        (195.7, "196"),
        (0.40241, "0.402"),
        (5.114, "5.11"),
        (999.6, "1,000"),
        (0, "0"),
    ],
)
def test_significant_digits_are_kept_and_the_rest_is_zero(value: float, text: str) -> None:
    assert units.significant(value) == text


def test_a_number_beyond_all_measuring_is_a_power_of_ten() -> None:
    assert [units.fixed(value, 1) for value in (1e15, -2.5e30, math.inf)] == ["1.0e+15", "\N{MINUS SIGN}2.5e+30", "inf"]


@pytest.mark.parametrize(
    ("parts", "shown"),
    [((5.113, 0.402), ["5.11", "0.402"]), ((4.0, 2.0), ["4.0", "2.0"]), ((1234.0, 0.5), ["1,234", "0.5000"])],
)
def test_parts_have_the_fewest_digits_with_which_their_ratio_follows(
    parts: tuple[float, ...], shown: list[str]
) -> None:
    assert units.shown_parts(parts, truediv, units.ratio) == shown
