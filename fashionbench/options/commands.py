"""The options of the other commands, and which command takes which."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fashionbench.options import parsing
from fashionbench.options.gate import gate
from fashionbench.options.option import Option
from fashionbench.options.run import (
    ADDRESS,
    DATA,
    DATASET,
    DEVICES,
    ENGINE,
    EXECUTION,
    FORMAT,
    FRESH,
    LIMIT,
    MARGIN,
    MODELS,
    OUT,
    PRECISION,
    PRICE,
    PRICE_MONEY,
    PRICE_PER_HOUR,
    READING_OPTIONS,
    RECIPE,
    SCORE,
    TARGET,
)

__all__ = [
    "ALL",
    "COMPARE_OPTIONS",
    "COMPARE_OUT",
    "DATA_OPTIONS",
    "DEVICES_OPTIONS",
    "FAIL_IF",
    "MINUTES",
    "MODELS_OPTIONS",
    "PEAK",
    "PREVIEW",
    "REPORT_OPTIONS",
    "SHAPE",
    "SPACE",
    "TRIALS",
    "TUNE_OPTIONS",
]

FAIL_IF: Final = Option(
    name="fail_if",
    group="Verdict",
    help="comma-separated conditions: slower=10%, worse=0.5pp, verdict; if one of them is met, the exit status is 3",
    unset="none",
    parse=parsing.optional(gate),
)

COMPARE_OUT: Final = Option(
    name="out",
    group="Files",
    help="folder for compare.html",
    unset="no file",
    parse=parsing.optional(Path),
)

ALL: Final = Option(
    name="all",
    group="Files",
    help="read the records of all runs in a folder, not only those of its last run",
    unset="no",
    is_flag=True,
    parse=bool,
)

PREVIEW: Final = Option(
    name="preview",
    group="Files",
    help="write a contact sheet to this .png file: some training images of each class",
    unset="no file",
    parse=parsing.optional(parsing.png),
)

TRIALS: Final = Option(
    name="trials",
    group="Trainings",
    help="how many trials each model gets, the same for all",
    default="8",
    parse=parsing.count("trials", most=1_000),
)

MINUTES: Final = Option(
    name="minutes",
    group="Trainings",
    help="about how many minutes of training each model's trials take, instead of --trials",
    unset="as --trials says",
    parse=parsing.optional(parsing.number("minutes", example="30", positive=True, most=parsing.LONGEST_BUDGET)),
)

SPACE: Final = Option(
    name="space",
    group="Trainings",
    help="your own search space: a .toml file",
    unset="learning rate, weight decay, label smoothing, augmentation, batch size",
    parse=parsing.optional(Path),
)

PEAK: Final = Option(
    name="peak",
    group="Run",
    help="measure the peak performance of each device, in about a second",
    unset="no",
    is_flag=True,
    parse=bool,
)

SHAPE: Final = Option(
    name="shape",
    group="Data",
    help="comma-separated shapes of the images: channels x height x width",
    default="1x28x28",
    parse=parsing.shapes,
)

REPORT_OPTIONS: Final[tuple[Option[Any], ...]] = (
    *(SCORE, MARGIN, PRICE, PRICE_PER_HOUR, PRICE_MONEY, TARGET),
    *(ALL, FORMAT, OUT),
)

TUNE_DEVICES: Final = replace(
    DEVICES, help="the device to tune on: cpu, cuda, cuda:N, mps, xpu or xpu:N; all is refused if there are several"
)

TUNE_OPTIONS: Final[tuple[Option[Any], ...]] = (
    *(RECIPE, MODELS, DATASET, TUNE_DEVICES, TRIALS, MINUTES, SPACE, EXECUTION, PRECISION),
    *READING_OPTIONS,
    *(LIMIT, FRESH, DATA, OUT, ENGINE, ADDRESS),
)

COMPARE_OPTIONS: Final[tuple[Option[Any], ...]] = (FAIL_IF, SCORE, MARGIN, PRICE, ALL, COMPARE_OUT)

DATA_OPTIONS: Final[tuple[Option[Any], ...]] = (replace(DATASET, group="Data"), *READING_OPTIONS, DATA, PREVIEW)

DEVICES_OPTIONS: Final[tuple[Option[Any], ...]] = (PEAK,)

MODELS_OPTIONS: Final[tuple[Option[Any], ...]] = (SHAPE,)
