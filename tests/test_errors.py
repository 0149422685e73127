"""A user's mistake is one line: what was found, what was expected, what to do."""

import pickle

import pytest

from fashionbench.errors import InputError, SetupError, describe_error, visible


@pytest.mark.parametrize(
    ("found", "expected", "remedy", "message"),
    [
        (
            "unknown device 'tpu9'",
            "cpu or cuda",
            "name one with --devices",
            "Unknown device 'tpu9'. Expected cpu or cuda. Name one with --devices.",
        ),
        (
            "pixels.csv, row 12: label 10.",
            "0 to 9.",
            "correct the row.",
            "pixels.csv, row 12: label 10. Expected 0 to 9. Correct the row.",
        ),
        ("--margin 'wide'", "a number", "add one", "--margin 'wide'. Expected a number. Add one."),
        (
            "Ray is not installed",
            "Ray",
            "run: python -m pip install ray",
            "Ray is not installed. Expected Ray. Run: python -m pip install ray",
        ),
    ],
)
def test_a_message_is_made_of_sentences(found: str, expected: str, remedy: str, message: str) -> None:
    assert str(InputError(found, expected=expected, remedy=remedy)) == message


def test_a_message_is_one_printable_line_whatever_it_quotes() -> None:
    message = str(InputError("field '\x1b[2J\n\u202e'", expected="a\r\nnumber", remedy="change it"))

    assert message == "Field '\\x1b[2J \\u202e'. Expected a number. Change it."


def test_an_error_comes_back_from_another_process_as_it_was() -> None:
    error = SetupError("no disk space", expected="200 MiB", remedy="free some space")

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is SetupError
    assert (str(again), again.found, again.expected, again.remedy) == (
        str(error), "no disk space", "200 MiB", "free some space",
    )  # fmt: skip


def test_what_a_terminal_obeys_or_a_reader_cannot_see_is_shown_as_its_escape() -> None:
    text = "net\x1b[2J \x9b1m\t\n\u202egnp\u2066 \udcff T-shirt/top 91.6\N{NO-BREAK SPACE}% Größe 裙子"

    assert visible(text) == (
        "net\\x1b[2J \\x9b1m\\t\\n\\u202egnp\\u2066 \\udcff T-shirt/top 91.6\N{NO-BREAK SPACE}% Größe 裙子"
    )
    assert describe_error(ValueError("bad\x1b[2J\nand more")) == r"ValueError: bad\x1b[2J"


@pytest.mark.parametrize("raised", [RuntimeError, SystemExit, RecursionError])
def test_an_error_that_cannot_be_written_out_is_named_by_its_type(raised: type[BaseException]) -> None:
    class Peculiar(Exception):  # noqa: N818 - as a user's may be named
        def __str__(self) -> str:
            raise raised

    assert describe_error(Peculiar()) == "Peculiar"
