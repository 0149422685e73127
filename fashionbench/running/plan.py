"""What a run will measure: options read and checked, cases in order."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, islice
from types import MappingProxyType
from typing import Final, TypeVar

from fashionbench.catalogue import STUDY_MODELS, is_baseline
from fashionbench.data.load import FASHION_MNIST
from fashionbench.data.torchvision_sets import NAMED
from fashionbench.devices.device import Device, select_devices
from fashionbench.devices.precision import EXECUTIONS, PRECISIONS
from fashionbench.errors import InputError
from fashionbench.models.baselines import BASELINES
from fashionbench.models.registry import MODELS, find_builder
from fashionbench.recipe import Recipe, load_recipe
from fashionbench.records.record import Execution, Precision
from fashionbench.training.case import Case
from fashionbench.training.inference import BATCH_SIZES

__all__ = ["DEFAULTS", "FIRST_LOOK", "FLAG_HELP", "OPTION_HELP", "Plan", "make_plan", "parse_seeds"]

DEFAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "recipe": "study",
        "models": ",".join(STUDY_MODELS),
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
    return device.word == "cpu" or not is_baseline(model)


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
