"""What a run will measure: options read and refused, cases in order, expected minutes."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, islice
from types import MappingProxyType
from typing import Final, TypeVar

import torch

from fashionbench.errors import InputError
from fashionbench.measure.baselines import BASELINES, Baseline, spread
from fashionbench.measure.case import Case, build_for, build_plain, image_shape
from fashionbench.measure.data import Dataset
from fashionbench.measure.datasets import FASHION_MNIST, NAMED
from fashionbench.measure.devices import Device, select_devices, synchronize
from fashionbench.measure.execution import EXECUTIONS, PRECISIONS, keep_memory, make_optimizer, speed_up
from fashionbench.measure.inference import BATCH_SIZES
from fashionbench.measure.models import MODELS, build_model, find_builder
from fashionbench.measure.training import iterate_batches, scale_pixels, train_step, warm_up
from fashionbench.recipe import Recipe, load_recipe
from fashionbench.record import Execution, Precision

__all__ = [
    "DEFAULTS",
    "FIRST_LOOK",
    "FLAG_HELP",
    "OPTION_HELP",
    "Plan",
    "check_fit",
    "estimate_seconds",
    "make_plan",
    "parse_seeds",
]

DEFAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "recipe": "study",
        "models": ",".join(MODELS),
        "dataset": FASHION_MNIST,
        "devices": "all",
        "seeds": "1",
        "until_decided": "",
        "execution": "fast",
        "precision": "fp32",
        "margin": "0.5",
        "price": "",
        "price_per_hour": "",
        "price_money": "",
        "limit": "",
    }
)
OPTION_HELP: Final[Mapping[str, str]] = MappingProxyType(
    {
        "recipe": "how to train: study, swift, smoke, or the path of a .toml file",
        "models": f"comma-separated, of {', '.join([*MODELS, *BASELINES])}, torchvision:NAME, an entry point of the "
        "group fashionbench.models, or module:function",
        "dataset": f"{FASHION_MNIST}, {', '.join(NAMED)}, digits, or the path of a folder of images, an .npz or a .csv",
        "devices": "comma-separated, of cpu, cuda, cuda:N, mps, xpu; or all that are there",
        "seeds": "how many (3 means 0,1,2), or the seeds themselves, comma-separated",
        "until_decided": "add seeds until no device's verdict is open any more, up to this many; default: only --seeds",
        "execution": "fast, or plain: PyTorch's own loop, the same mathematics",
        "precision": "fp32, bf16 (autocast) or, on cuda, tf32",
        "margin": "the smallest gain that matters, in percentage points",
        "price": "what a percentage point may cost, in training minutes; default: no limit",
        "price_per_hour": "what an hour on a device costs, in any money, as cuda=1.20,cpu=0.05",
        "price_money": "what a percentage point may cost, in the money of --price-per-hour",
        "limit": "minutes after which a training is given up; default: no limit",
        "data": "folder of Fashion-MNIST's four IDX files (gz or not) or Kaggle CSV pair, or of another named dataset "
        "as torchvision keeps it; default: find or fetch it",
        "out": "folder for records and report",
    }
)
SECONDS_PER_ESTIMATE: Final = 1.0
BASELINE_IMAGES: Final = 1_000
SAME: Final = 1e-3
"""Relative difference of logits that counts as rounding, for a model that nobody here has seen."""
MOST_SEEDS: Final = 1_000
FIRST_LOOK: Final = 3
"""Seeds from which on the verdict's intervals hold what they promise."""
NEXT_LOOK: Final = 1.5
"""By how much the seeds grow from one look to the next: few looks, so that each keeps much of the 5 %."""
FLAG_HELP: Final[Mapping[str, str]] = MappingProxyType(
    {
        "fresh": "measure anew what earlier runs in this folder have finished",
        "self_check": "train the first case of each device once more and report how much of a difference is noise",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run measures."""

    recipe: Recipe
    models: tuple[str, ...]
    devices: tuple[Device, ...]
    seeds: tuple[int, ...]
    """All that may be trained."""
    margin_pp: float
    price_minutes_per_pp: float | None
    price_per_hour: str = ""
    price_money: str = ""
    """Both as typed; the report reads them."""
    limit_minutes: float | None
    """When a case is given up."""
    dataset: str = FASHION_MNIST
    """A word or path for ``load_dataset``."""
    execution: Execution = "fast"
    precision: Precision = "fp32"
    looks: tuple[int, ...] = ()
    """Numbers of seeds at which a device's verdict is looked at, the last being all; empty: all seeds are trained."""
    self_check: bool = False
    """Train the first case of each device once more and tell the difference."""
    fresh: bool = False
    """Measure finished cases anew."""

    def cases(self) -> tuple[Case, ...]:
        """Return the cases in measuring order: by device, the models' order turned round with every seed (ABBA)."""
        return tuple(
            Case(
                model=model,
                device=device,
                recipe=self.recipe,
                seed=seed,
                execution=self.execution,
                precision=self.precision,
            )
            for device in self.devices
            for place, seed in enumerate(self.seeds)
            for model in (self.models if place % 2 == 0 else self.models[::-1])
            if _runs_on(model, device)
        )

    def inferences(self) -> tuple[tuple[str, Device, int], ...]:
        """Return model, device and batch size of each forward pass to be timed."""
        return tuple(
            (model, device, batch_size)
            for device in self.devices
            for model in self.models
            if _runs_on(model, device)
            for batch_size in BATCH_SIZES
        )

    def repeated(self, case: Case) -> bool:
        """Say whether a case is trained once more."""
        return self.self_check and case == next(each for each in self.cases() if each.device == case.device)


def _runs_on(model: str, device: Device) -> bool:
    """Say whether a model is for a kind of device: the classical baselines are for the CPU."""
    return device.word == "cpu" or model not in BASELINES


def make_plan(  # noqa: PLR0913 - the options of a run
    *,
    recipe: str,
    models: str,
    dataset: str,
    devices: str,
    seeds: str,
    until_decided: str,
    execution: str,
    precision: str,
    margin: str,
    price: str,
    price_per_hour: str,
    price_money: str,
    limit: str,
) -> Plan:
    """Read the options of a run, as text; their meaning stands in ``OPTION_HELP``.

    Raises:
        InputError: An unknown model, device or recipe, or numbers that are none.

    """
    names = tuple(dict.fromkeys(name.strip() for name in models.split(",")))
    for name in names:
        find_builder(name)
    chosen = select_devices(devices)
    plan_precision = _pick("precision", precision, PRECISIONS)
    if plan_precision == "tf32" and any(not device.word.startswith("cuda") for device in chosen):
        raise InputError(
            f"precision 'tf32' on {', '.join(device.word for device in chosen)}",
            expected="fp32 or bf16 there: tf32 is for NVIDIA's devices",
            remedy="name the cuda devices with --devices",
        )
    first = parse_seeds(seeds)
    looks = _plan_looks(len(first), until_decided) if until_decided else ()
    if looks and len(names) < 2:  # noqa: PLR2004 - a verdict needs two
        raise InputError(
            f"until-decided with the model {names[0]} alone",
            expected="two models or more",
            remedy="name two in --models",
        )
    others = (seed for seed in count() if seed not in first)
    return Plan(
        recipe=load_recipe(recipe),
        models=names,
        dataset=dataset,
        devices=chosen,
        seeds=(*first, *islice(others, max(looks, default=0) - len(first))) if looks else first,
        looks=looks,
        execution=_pick("execution", execution, EXECUTIONS),
        precision=plan_precision,
        margin_pp=_parse_amount("margin", margin),
        price_minutes_per_pp=_parse_amount("price", price) if price else None,
        price_per_hour=price_per_hour,
        price_money=price_money,
        limit_minutes=_parse_amount("limit", limit) if limit else None,
    )


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds: a single number says how many (``3``: 0, 1, 2), a list says which (``0,7`` or ``7,``).

    Raises:
        InputError: No such number or list.

    """
    parts = [part.strip() for part in text.removesuffix(",").split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts) or len(text) > 10 * MOST_SEEDS:
        raise InputError(
            f"seeds {text[:60]!r}", expected="how many, as 3, or which, as 0,1,2", remedy="mend the value of --seeds"
        )
    numbers = tuple(dict.fromkeys(int(part) for part in parts))
    seeds = numbers if "," in text else tuple(range(min(numbers[0], MOST_SEEDS + 1)))
    if not 1 <= len(seeds) <= MOST_SEEDS or max(seeds) >= 2**32:
        raise InputError(
            f"seeds {text[:60]!r}",
            expected=f"1 to {MOST_SEEDS:,} seeds, each below 2^32",
            remedy="mend the value of --seeds",
        )
    return seeds


def _plan_looks(first: int, most: str) -> tuple[int, ...]:
    """Return the numbers of seeds at which to look, from ``first`` (3 at least) to ``most``, each half as many more."""
    if not (most.isascii() and most.isdigit() and max(first, FIRST_LOOK) <= int(most[:9]) <= MOST_SEEDS):
        raise InputError(
            f"until-decided {most[:60]!r}",
            expected=f"the most seeds to train, {max(first, FIRST_LOOK)} to {MOST_SEEDS:,}",
            remedy="mend the value of --until-decided",
        )
    looks = [max(first, FIRST_LOOK)]
    while looks[-1] < int(most):
        looks.append(min(math.ceil(NEXT_LOOK * looks[-1]), int(most)))
    if len(looks) > 2 and looks[-1] < NEXT_LOOK * looks[-2]:  # noqa: PLR2004 - a look between first and last
        del looks[-2]  # so near the last that it would only take of its share
    return tuple(looks)


Word = TypeVar("Word", bound=str)


def _pick(name: str, text: str, words: tuple[Word, ...]) -> Word:
    for word in words:
        if text == word:
            return word
    raise InputError(
        f"unknown {name} {text[:60]!r}", expected=f"one of {', '.join(words)}", remedy=f"mend the value of --{name}"
    )


def _parse_amount(name: str, text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise InputError(f"{name} {text[:60]!r}", expected="a number, 0 or more", remedy=f"mend the value of --{name}")
    return amount


def estimate_seconds(case: Case, dataset: Dataset) -> float:
    """Return about how many seconds a case will train, from a second of throw-away steps on its device.

    Raises:
        RuntimeError: The model does not run on this device with these images (torch's own words).

    """
    device = torch.device(case.device.word)
    train_images = (case.recipe.train_images or len(dataset.train_images)) * (1 - case.recipe.validation_fraction)
    model = build_for(case, dataset).to(device)
    if isinstance(model, Baseline):
        few = spread(BASELINE_IMAGES, len(dataset.train_images))
        started = time.perf_counter()
        model.fit(dataset.train_images[few], dataset.train_labels[few], case.seed)
        return (time.perf_counter() - started) / len(few) * train_images
    if case.execution == "fast":
        keep_memory()
    batch_size = case.recipe.batch_size_for(case.model)
    warm_up(model, image_shape(dataset), batch_size, len(dataset.classes), case.execution, case.precision)
    optimizer = make_optimizer(model, case.recipe.learning_rate, case.execution)
    images, labels = dataset.train_images[: 64 * batch_size], dataset.train_labels[: 64 * batch_size]
    if case.execution == "plain":
        images = scale_pixels(images)
    batches = iterate_batches(
        images.to(device), labels.to(device), batch_size, torch.Generator().manual_seed(0), case.execution
    )
    started, seen = time.perf_counter(), 0
    for batch, targets in batches:
        train_step(model, optimizer, batch, targets, precision=case.precision)
        synchronize(device)
        seen += len(targets)
        if time.perf_counter() - started > SECONDS_PER_ESTIMATE:
            break
    return (time.perf_counter() - started) / seen * train_images * case.recipe.epochs_for(case.model)


def check_fit(case: Case, dataset: Dataset) -> None:
    """Require that a model takes the data's images to as many numbers as there are classes, and fast as plain does.

    Raises:
        InputError: It does not; its own error is in the message.

    """
    shape, classes = image_shape(dataset), len(dataset.classes)
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    size = " x ".join(map(str, shape))
    wanted = f"a network that takes images (N, {size}) to logits (N, {classes})"
    try:
        model = build_model(case.model, shape=shape, classes=classes, seed=0)
        if isinstance(model, Baseline):
            return
        found = model.train()(images)
    except Exception as error:
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        raise InputError(
            f"model {case.model!r} fails on images of {size} ({said})",
            expected=wanted,
            remedy="mend the model, or choose another with --models",
        ) from error
    if not isinstance(found, torch.Tensor) or found.shape != (2, classes):
        what = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise InputError(
            f"model {case.model!r} gives {what} for 2 images of {size}",
            expected=wanted,
            remedy="mend the model, or choose another with --models",
        )
    if case.execution == "fast":
        _check_rewriting(case, dataset, images)


def _check_rewriting(case: Case, dataset: Dataset, images: torch.Tensor) -> None:
    """Require that the fast execution is the model's own: a model may do what the rewriting cannot see."""
    try:
        differs = _tell_difference(case, dataset, images)
    except Exception as error:  # noqa: BLE001 - whatever a model's own code raises
        differs = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
    if differs:
        raise InputError(
            f"model {case.model!r} cannot be rewritten for the fast execution ({differs})",
            expected="a model that PyTorch's own layers make up",
            remedy="run it with --execution plain",
        )


def _tell_difference(case: Case, dataset: Dataset, images: torch.Tensor) -> str:
    """Compare logits in evaluation, and require that no weight which was replaced is still trained."""
    plain, ours = (build_plain(case.model, dataset, case.seed) for _ in range(2))
    given = {*ours.parameters()}
    speed_up(ours, image_shape(dataset))
    with torch.no_grad():
        expected, found = (model.eval()(images) for model in (plain, ours))
    if not bool(((expected - found).abs() <= SAME * expected.abs().max()).all()):
        return "its logits differ"
    ours.train()(images).square().sum().backward()
    return "other weights are trained" if any(each.grad is not None for each in given - {*ours.parameters()}) else ""
