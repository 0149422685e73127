"""The options of a run: what ``fashionbench run`` and the benchmark under pytest take.

The commands and pytest's options are made from this module, and README's table is tested against it. Whether a recipe,
model or data set of a name exists is checked elsewhere.
"""

from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, get_args

from fashionbench.catalogue import CATALOGUE, DATASETS, STUDY_MODELS
from fashionbench.options import parsing
from fashionbench.options.option import Engine, Execution, Fit, Option, Precision, Score

__all__ = [
    "ADDRESS",
    "BUDGETS",
    "CLUSTER_OPTIONS",
    "DATA",
    "DATASET",
    "DEVICES",
    "ENGINE",
    "EXECUTION",
    "FIT",
    "FORMAT",
    "FORMATS",
    "FRESH",
    "IMAGE_SIZE",
    "LABEL_COLUMN",
    "LIMIT",
    "MARGIN",
    "MODELS",
    "OUT",
    "PRECISION",
    "PRICE",
    "PRICE_MONEY",
    "PRICE_PER_HOUR",
    "READING_OPTIONS",
    "RECIPE",
    "RUN_OPTIONS",
    "SCORE",
    "SEEDS",
    "SELF_CHECK",
    "TARGET",
    "TEST",
    "UNLIKE_CLASSES",
    "UNTIL_DECIDED",
]

FORMATS: Final = MappingProxyType(
    {"html": "report.html", "pdf": "report.pdf", "md": "report.md", "json": "verdict.json"}
)
"""The files of a report, by the word that ``--format`` takes."""

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
    help=f"comma-separated: {', '.join(CATALOGUE)}, torchvision:NAME, timm:NAME, or your own: module:name, or a "
    "name that an installed package declares",
    default=",".join(STUDY_MODELS),
    parse=parsing.words,
)
DATASET: Final = Option(
    name="dataset",
    group="Trainings",
    help=f"{', '.join(DATASETS)}, or your own: a folder of images, a table (.csv, .tsv, .parquet) or an .npz file",
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
    help="comma-separated: cpu, cuda, cuda:N, mps, xpu, xpu:N, or all: the CPU and one accelerator of each product "
    "name",
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
BUDGETS: Final = Option(
    name="budgets",
    group="Trainings",
    help="comma-separated minutes, such as 1,2,4,8: train for the epochs that fit in each, estimated before",
    unset="the epochs of the recipe",
    parse=parsing.budgets,
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
PRECISION: Final[Option[Precision | None]] = Option(
    name="precision",
    group="Trainings",
    help="fp32, bf16 (where PyTorch's autocast uses it), or tf32 on cuda",
    unset="that of the recipe",
    parse=parsing.optional(parsing.one_of("precision", get_args(Precision))),
)
SCORE: Final[Option[Score]] = Option(
    name="score",
    group="Verdict",
    help="what the verdict compares: accuracy, or balanced: balanced accuracy, the mean recall of the classes",
    default="accuracy",
    parse=parsing.one_of("score", get_args(Score)),
)
UNLIKE_CLASSES: Final = 3
"""Where the largest class has over so many times the images of the smallest, the two scores may differ much."""
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
TARGET: Final = Option(
    name="target",
    group="Verdict",
    help="the validation accuracy to which the report gives the training time, such as 0.91",
    unset="the lower of the two final ones",
    parse=parsing.optional(parsing.number("target", example="0.91", most=1)),
)
SELF_CHECK: Final = Option(
    name="self_check",
    group="Run",
    help="train the first case of each device twice, and report how much of a difference is noise",
    unset="if it takes under a tenth of the run",
    is_flag=True,
    parse=bool,
)
LIMIT: Final = Option(
    name="limit",
    group="Run",
    help="minutes after which a training is stopped and reported as failed",
    unset="no limit",
    parse=parsing.optional(parsing.number("limit", example="60", positive=True)),
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
    help="folder of the four IDX files of Fashion-MNIST, or of Kaggle's two CSV files; of another named data set, "
    "as torchvision stores it",
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


READING_OPTIONS: Final[tuple[Option[Any], ...]] = (IMAGE_SIZE, FIT, LABEL_COLUMN, TEST)

RUN_OPTIONS: Final[tuple[Option[Any], ...]] = (
    *(RECIPE, MODELS, DATASET, DEVICES, SEEDS, BUDGETS, UNTIL_DECIDED, EXECUTION, PRECISION),
    *READING_OPTIONS,
    *(SCORE, MARGIN, PRICE, PRICE_PER_HOUR, PRICE_MONEY, TARGET),
    *(SELF_CHECK, LIMIT, FRESH, DATA, OUT, FORMAT),
)
"""Of ``fashionbench run``, and of the benchmark under pytest."""
CLUSTER_OPTIONS: Final[tuple[Option[Any], ...]] = (ENGINE, ADDRESS)
"""Of the commands ``run`` and ``tune`` only, not of the benchmark under pytest."""
