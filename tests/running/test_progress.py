"""A watcher sees loss, accuracy and time left; without a terminal, in plain lines."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from fashionbench.devices.device import Device
from fashionbench.recipe.fields import RECIPES
from fashionbench.running import progress
from fashionbench.running.progress import Display, format_duration
from fashionbench.training.case import Case
from fashionbench.training.loop import Tick

CASES = [
    Case(model=model, device=Device(word="cpu", name="x"), recipe=RECIPES["study"], seed=0)
    for model in ("fashioncnn", "resnet18")
]


def tick(step: int, accuracy: float | None = None) -> Tick:
    return Tick(epoch=2, step=step, steps=100, loss=0.4567, train_seconds=step * 0.6, validation_accuracy=accuracy)


def display(*, terminal: bool) -> tuple[Display, io.StringIO]:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=200, color_system=None)
    return Display(console, [(CASES[0], 50.0), (CASES[1], 240.0)]), file


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "under 1 s"),
        (99.4, "99 s"),
        (99.5, "2 min"),
        (3_000, "50 min"),
        (6_000, "1 h 40 min"),
        (9_000, "2 h 30 min"),
    ],
)
def test_durations_have_two_digits_or_so(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_lines_tell_loss_accuracy_and_time_left() -> None:
    shown, file = display(terminal=False)

    with shown.watch(CASES[0]) as watch:
        watch(tick(50, 0.9123))

    lines = file.getvalue().splitlines()
    assert lines[0] == "[1/2] fashioncnn on cpu, seed 0: preparing"
    assert lines[1] == (
        "[1/2] fashioncnn on cpu, seed 0: 50\N{NO-BREAK SPACE}%, epoch 2/10, loss 0.457, "
        "validation accuracy 91.2\N{NO-BREAK SPACE}%, "
        "30 s left, 4 min for the whole run"
    )


def test_lines_within_an_epoch_come_only_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, file = display(terminal=False)

    with shown.watch(CASES[0]) as watch:
        watch(tick(50))
        quiet = len(file.getvalue().splitlines())
        monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", -1.0)
        watch(tick(51))

    assert quiet == 1
    assert "51\N{NO-BREAK SPACE}%" in file.getvalue()


def test_a_finished_case_is_counted_and_no_longer_expected() -> None:
    shown, file = display(terminal=False)

    with shown.watch(CASES[0]):
        pass
    with shown.watch(CASES[1]) as watch:
        watch(tick(50, 0.9))

    assert "[2/2] resnet18 on cpu, seed 0: 50\N{NO-BREAK SPACE}%" in file.getvalue()
    assert "30 s left, 30 s for the whole run" in file.getvalue()


def test_a_terminal_gets_a_bar_with_the_same_words() -> None:
    shown, file = display(terminal=True)

    with shown.watch(CASES[0]) as watch:
        watch(tick(50, 0.9))

    assert "[1/2] fashioncnn on cpu, seed 0" in file.getvalue()
    assert "loss 0.457, validation accuracy 90.0\N{NO-BREAK SPACE}%" in file.getvalue()
    assert "50 %" in file.getvalue()


def test_a_case_that_is_forgotten_is_no_longer_expected() -> None:
    shown, file = display(terminal=False)

    shown.forget(CASES[1])
    with shown.watch(CASES[0]) as watch:
        watch(tick(50, 0.9))

    assert "[1/1] fashioncnn on cpu, seed 0: 50\N{NO-BREAK SPACE}%" in file.getvalue()
    assert "30 s left, 30 s for the whole run" in file.getvalue()


def test_two_cases_at_once_on_unlike_devices_of_one_word_are_told_apart() -> None:
    file = io.StringIO()
    other = replace(CASES[0], device=Device(word="cpu", name="y"))
    console = Console(file=file, force_terminal=True, width=200, color_system=None)
    shown = Display(console, [(CASES[0], 50.0), (other, 50.0)], places=2)

    with shown.watch(CASES[0]) as one, shown.watch(other) as two:
        one(tick(50, 0.9))
        two(tick(50, 0.9))

    assert "fashioncnn on cpu (x), seed 0" in file.getvalue()
    assert "fashioncnn on cpu (y), seed 0" in file.getvalue()
    assert "30 s left, 30 s for the whole run" in file.getvalue()


def test_names_are_never_read_as_markup() -> None:
    shown, file = display(terminal=False)

    shown.say("[bold]x[/bold]")

    assert file.getvalue() == "[bold]x[/bold]\n"


def test_a_case_that_comes_twice_is_counted_twice() -> None:
    file = io.StringIO()
    shown = Display(Console(file=file, width=200), [(CASES[0], 50.0), (CASES[0], 50.0)])

    with shown.watch(CASES[0]) as watch:
        watch(tick(50, 0.9))
    with shown.watch(CASES[0]) as watch:
        watch(tick(50, 0.9))

    assert "[1/2] fashioncnn on cpu, seed 0: 50\N{NO-BREAK SPACE}%" in file.getvalue()
    assert "30 s left, 90 s for the whole run" in file.getvalue()
    assert "[2/2] fashioncnn on cpu, seed 0: 50\N{NO-BREAK SPACE}%" in file.getvalue()


def test_a_longer_case_of_the_same_model_is_expected_to_take_longer() -> None:
    file = io.StringIO()
    longer = replace(CASES[0], recipe=CASES[0].recipe.model_copy(update={"epochs": 25}))
    shown = Display(Console(file=file, width=200), [(CASES[0], 50.0), (longer, 50.0)])

    with shown.watch(CASES[0]) as watch:
        watch(tick(50, 0.9))

    assert "30 s left, 3 min for the whole run" in file.getvalue()
