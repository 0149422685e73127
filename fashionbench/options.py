"""Every option of the command line and of the benchmark, once: name, default, help, and how its text is read.

The commands and pytest's options are made from this module, and README's table is tested against it. Whether a recipe,
model or data set of a name exists is checked elsewhere: ``--help`` must not wait for torch, pydantic or NumPy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Generic, Literal, TypeVar, get_args

from fashionbench import parsing
from fashionbench.catalogue import CATALOGUE, DATASETS, STUDY_MODELS

__all__ = [
    "ADDRESS",
    "ALL",
    "CLUSTER_OPTIONS",
    "COMPARE_OPTIONS",
    "COMPARE_OUT",
    "DATA",
    "DATASET",
    "DATA_OPTIONS",
    "DEVICES",
    "DEVICES_OPTIONS",
    "ENGINE",
    "EXECUTION",
    "FAIL_IF",
    "FIT",
    "FORMAT",
    "FORMATS",
    "FRESH",
    "IMAGE_SIZE",
    "LABEL_COLUMN",
    "LIMIT",
    "MARGIN",
    "MINUTES",
    "MODELS",
    "MODELS_OPTIONS",
    "OUT",
    "PEAK",
    "PRECISION",
    "PREVIEW",
    "PRICE",
    "PRICE_MONEY",
    "PRICE_PER_HOUR",
    "RECIPE",
    "REPORT_OPTIONS",
    "RUN_OPTIONS",
    "SEEDS",
    "SELF_CHECK",
    "SHAPE",
    "SPACE",
    "TEST",
    "TRIALS",
    "TUNE_OPTIONS",
    "UNTIL_DECIDED",
    "Engine",
    "Execution",
    "Fit",
    "Given",
    "Option",
    "Precision",
]

Execution = Literal["fast", "plain"]
"""How steps are computed: rewritten for speed, or by PyTorch's own loop; the same mathematics."""

Precision = Literal["fp32", "bf16", "tf32"]
"""The arithmetic: IEEE single, autocast to bfloat16, or NVIDIA's tensor cores on single."""

Engine = Literal["local", "ray"]

Fit = Literal["crop", "pad", "stretch"]
"""How an image of another shape is brought to a size."""

FORMATS: Final = MappingProxyType(
    {"html": "report.html", "pdf": "report.pdf", "md": "report.md", "json": "verdict.json"}
)
"""The files of a report, by the word that ``--format`` takes."""

Given = Mapping[str, Any]
"""What was given for each option, by its name: a text, or True or False for a flag."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option(Generic[T]):
    """An option of a command."""

    name: str
    """As Python spells it: ``price_per_hour``."""
    group: Literal["Trainings", "Data", "Verdict", "Run", "Files"]
    """What it determines; ``--help`` has a heading for each."""
    help: str
    default: str = ""
    unset: str = ""
    """What an empty default means, for readers."""
    is_flag: bool = False
    """Whether it has no value."""
    parse: Callable[[str], T]
    """Turns the text into a value or raises InputError; ``bool`` for a flag."""

    @property
    def flag(self) -> str:
        """Return the option as it is typed: ``--price-per-hour``."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def shown_default(self) -> str:
        """Return the default as readers see it."""
        return self.default or self.unset

    def read(self, given: Given) -> T:
        """Return the value among what was given; an option that was not given has its default.

        Raises:
            InputError: The text is not one that the option takes.

        """
        return self.parse(given.get(self.name, self.default))


RECIPE: Final = Option(
    name="recipe",
    group="Trainings",
    help="how to train: study, swift, smoke, or your own .toml file",
    default="study",
    parse=str,
)
MODELS: Final = Option(
    name="models",
    group="Trainings",
    help=f"comma-separated: {', '.join(CATALOGUE)}, torchvision:NAME, timm:NAME, or your own: module:name or an entry "
    "point",
    default=",".join(STUDY_MODELS),
    parse=parsing.words,
)
DATASET: Final = Option(
    name="dataset",
    group="Trainings",
    help=f"{', '.join(DATASETS)}, or your own: a folder of images, an .npz or a .csv file",
    default=DATASETS[0],
    parse=str,
)
IMAGE_SIZE: Final = Option(
    name="image_size",
    group="Data",
    help="resize all images to this side, such as 64, or to this height and width, such as 64x48",
    unset="as stored",
    parse=parsing.optional(parsing.image_size),
)
FIT: Final[Option[Fit]] = Option(
    name="fit",
    group="Data",
    help="how images of another shape are resized: crop (shorter side, then the centre), pad or stretch",
    default="crop",
    parse=parsing.one_of("fit", get_args(Fit)),
)
LABEL_COLUMN: Final = Option(
    name="label_column",
    group="Data",
    help="the column of the labels in a table: its name, or its number from 1",
    unset="found by its name",
    parse=parsing.optional(str),
)
TEST: Final = Option(
    name="test",
    group="Data",
    help="a table of the test images, if --dataset is a table of the training images",
    unset="found or drawn",
    parse=parsing.optional(Path),
)
DEVICES: Final = Option(
    name="devices",
    group="Trainings",
    help="comma-separated: cpu, cuda, cuda:N, mps, xpu, xpu:N, or all: the CPU and one accelerator of each kind",
    default="all",
    parse=parsing.devices,
)
SEEDS: Final = Option(
    name="seeds",
    group="Trainings",
    help="how many (3 means 0, 1, 2), or a comma-separated list",
    default="1",
    parse=parsing.seeds,
)
UNTIL_DECIDED: Final = Option(
    name="until_decided",
    group="Trainings",
    help="train at least three seeds, and up to this many, until the verdict on every device is decided",
    unset="no",
    parse=parsing.optional(parsing.count("until-decided", most=parsing.MOST_SEEDS)),
)
EXECUTION: Final[Option[Execution]] = Option(
    name="execution",
    group="Trainings",
    help="fast, or plain: PyTorch's own loop",
    default="fast",
    parse=parsing.one_of("execution", get_args(Execution)),
)
PRECISION: Final[Option[Precision]] = Option(
    name="precision",
    group="Trainings",
    help="fp32, bf16 (autocast), or tf32 on cuda",
    default="fp32",
    parse=parsing.one_of("precision", get_args(Precision)),
)
MARGIN: Final = Option(
    name="margin",
    group="Verdict",
    help="the smallest gain that matters, in percentage points",
    default="0.5",
    parse=parsing.number("margin", example="1"),
)
PRICE: Final = Option(
    name="price",
    group="Verdict",
    help="what a percentage point may cost, in training minutes",
    unset="no limit",
    parse=parsing.optional(parsing.number("price", example="30")),
)
PRICE_PER_HOUR: Final = Option(
    name="price_per_hour",
    group="Verdict",
    help="what an hour on a device costs, in any currency: cuda=1.20,cpu=0.05",
    unset="none",
    parse=parsing.prices,
)
PRICE_MONEY: Final = Option(
    name="price_money",
    group="Verdict",
    help="what a percentage point may cost, in the currency of --price-per-hour; replaces --price",
    unset="no limit",
    parse=parsing.optional(parsing.number("price-money", example="0.10")),
)
SELF_CHECK: Final = Option(
    name="self_check",
    group="Run",
    help="train the first case of each device twice, and report how much of a difference is noise",
    unset="no",
    is_flag=True,
    parse=bool,
)
LIMIT: Final = Option(
    name="limit",
    group="Run",
    help="minutes after which a training is stopped and reported as failed",
    unset="no limit",
    parse=parsing.optional(parsing.number("limit", example="60")),
)
FRESH: Final = Option(
    name="fresh",
    group="Run",
    help="measure again what earlier runs in this folder finished",
    unset="no",
    is_flag=True,
    parse=bool,
)
ENGINE: Final[Option[Engine]] = Option(
    name="engine",
    group="Run",
    help="local: one training after another on this machine; ray: many at once on a Ray cluster",
    default="local",
    parse=parsing.one_of("engine", get_args(Engine)),
)
ADDRESS: Final = Option(
    name="address",
    group="Run",
    help="the Ray cluster, as host:port",
    unset="the one in RAY_ADDRESS, or this machine's",
    parse=parsing.optional(str),
)
DATA: Final = Option(
    name="data",
    group="Files",
    help="folder of the four IDX files, gzipped or not, or of the Kaggle CSV pair; for other named data sets, "
    "as torchvision stores them",
    unset="found or downloaded",
    parse=parsing.optional(Path),
)
OUT: Final = Option(
    name="out",
    group="Files",
    help="folder for records and report",
    default="reports",
    parse=Path,
)
FORMAT: Final = Option(
    name="format",
    group="Files",
    help=f"files of the report, comma-separated: {', '.join(FORMATS)}",
    default=",".join(FORMATS),
    parse=parsing.some_of("format", FORMATS),
)
FAIL_IF: Final = Option(
    name="fail_if",
    group="Verdict",
    help="comma-separated conditions: slower=10%, worse=0.5pp, verdict; if one of them is met, the exit status is 3",
    unset="none",
    parse=parsing.optional(parsing.gate),
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
    parse=parsing.optional(parsing.number("minutes", example="30")),
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
    group="Trainings",
    help="comma-separated shapes of the images: channels x height x width",
    default="1x28x28",
    parse=parsing.shapes,
)

READING_OPTIONS: Final[tuple[Option[Any], ...]] = (IMAGE_SIZE, FIT, LABEL_COLUMN, TEST)

RUN_OPTIONS: Final[tuple[Option[Any], ...]] = (
    *(RECIPE, MODELS, DATASET, DEVICES, SEEDS, UNTIL_DECIDED, EXECUTION, PRECISION),
    *READING_OPTIONS,
    *(MARGIN, PRICE, PRICE_PER_HOUR, PRICE_MONEY),
    *(SELF_CHECK, LIMIT, FRESH, DATA, OUT, FORMAT),
)
"""Of ``fashionbench run``, and of the benchmark under pytest."""
CLUSTER_OPTIONS: Final[tuple[Option[Any], ...]] = (ENGINE, ADDRESS)
"""Of ``fashionbench run`` only."""

REPORT_OPTIONS: Final[tuple[Option[Any], ...]] = (MARGIN, PRICE, PRICE_PER_HOUR, PRICE_MONEY, ALL, FORMAT, OUT)

TUNE_OPTIONS: Final[tuple[Option[Any], ...]] = (
    *(RECIPE, MODELS, DATASET, DEVICES, TRIALS, MINUTES, SPACE, EXECUTION, PRECISION),
    *READING_OPTIONS,
    *(LIMIT, FRESH, DATA, OUT, ENGINE, ADDRESS),
)

COMPARE_OPTIONS: Final[tuple[Option[Any], ...]] = (FAIL_IF, MARGIN, PRICE, ALL, COMPARE_OUT)

DATA_OPTIONS: Final[tuple[Option[Any], ...]] = (DATASET, *READING_OPTIONS, DATA, PREVIEW)

DEVICES_OPTIONS: Final[tuple[Option[Any], ...]] = (PEAK,)

MODELS_OPTIONS: Final[tuple[Option[Any], ...]] = (SHAPE,)
