"""Measure how time and memory grow with the work: images, batch, threads, epochs, seeds, records in a report.

Called by ``nox -s growth``; prints a table in Markdown and writes its figures to reports/growth.json. Each figure is
the median of three, by turns with the others of its row, each in a process of its own.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from fashionbench.records.files import write_atomically

REPORT: Final = Path("reports/growth.json")
TURNS: Final = 3
ROWS: Final[tuple[tuple[str, str, Mapping[str, Any], tuple[int, ...]], ...]] = (
    ("FashionCNN, images", "images", {"model": "fashioncnn"}, (6_000, 15_000, 30_000, 60_000)),
    ("ResNet18, images", "images", {"model": "resnet18", "batch": 20}, (6_000, 15_000, 30_000)),
    ("FashionCNN, batch, 15,000 images", "batch", {"model": "fashioncnn", "images": 15_000}, (20, 100, 500)),
    ("ResNet18, batch, 6,000 images", "batch", {"model": "resnet18"}, (20, 100, 500)),
    ("FashionCNN, threads, 15,000 images", "threads", {"model": "fashioncnn", "images": 15_000}, (1, 2)),
    ("ResNet18, threads, 6,000 images", "threads", {"model": "resnet18", "batch": 20}, (1, 2)),
    ("FashionCNN, epochs, 6,000 images", "epochs", {"model": "fashioncnn"}, (1, 2, 4, 8)),
    ("FashionCNN, seeds, 6,000 images", "seeds", {}, (1, 2, 4)),
    ("report, records", "records", {}, (2, 10, 100, 1_000)),
)


def train(*, model: str, images: int = 6_000, batch: int = 100, epochs: int = 1) -> float:
    """Measure one case and return its seconds on the training clock."""
    from cases import measure

    from fashionbench.data.fashion_mnist import cache_folder, find_dataset
    from fashionbench.devices.device import list_devices
    from fashionbench.recipe.fields import Recipe
    from fashionbench.training.case import Case

    dataset = find_dataset(None, environ=os.environ, cache=cache_folder(), announce=lambda _: None)
    recipe = Recipe(
        name="growth",
        epochs=epochs,
        batch_size=batch,
        train_images=None if images == 60_000 else images,
        test_images=100,
    )
    case = Case(model=model, device=list_devices()[0], recipe=recipe, seed=0)
    record = measure(case, dataset)
    if record.result is None:
        raise SystemExit(record.reason)
    return record.result.train_seconds


def run_seeds(seeds: int) -> float:
    """Run whole cases from the command line and return their seconds; the memory is that of the run, not its cases."""
    from fashionbench import cli

    with tempfile.TemporaryDirectory() as out:
        recipe = Path(out, "growth.toml")
        recipe.write_text("epochs = 1\ntrain_images = 6000\ntest_images = 1000\nis_result = false\n", encoding="utf-8")
        sys.argv = ["fashionbench", "run", "--recipe", str(recipe), "--models", "fashioncnn", "--devices", "cpu"]
        sys.argv += ["--seeds", str(seeds), "--out", out]
        began = time.perf_counter()
        try:
            cli.main()
        except SystemExit as left:
            if left.code:
                raise
        return time.perf_counter() - began


def report(records: int) -> float:
    """Draw the report of some records and return its seconds."""
    from synthetic import make_training

    from fashionbench.report.page import write_report

    made = [make_training(model, seed=seed) for seed in range(records // 2) for model in ("fashioncnn", "resnet18")]
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        write_report(made, Path(out))
        return time.perf_counter() - began


def measure_one(what: str, options: dict[str, Any]) -> None:
    """Measure in this process, and print seconds and peak memory as JSON, last."""
    made: dict[str, Callable[..., float]] = {"seeds": run_seeds, "records": report}
    seconds = made.get(what, train)(**options)
    peak = int(Path("/proc/self/status").read_text(encoding="ascii").partition("VmHWM:")[2].split()[0]) * 1024
    print(json.dumps([seconds, peak]))


def ask(what: str, options: Mapping[str, Any]) -> tuple[float, int]:
    """Measure in a new process and return seconds and peak bytes."""
    given = {name: value for name, value in options.items() if name != "threads"}
    threads = {"OMP_NUM_THREADS": str(options["threads"])} if "threads" in options else {}
    done = subprocess.run(
        [sys.executable, __file__, what, json.dumps(given)],
        env={**os.environ, **threads},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def main() -> None:
    """Measure every row by turns, and tell."""
    figures = {}
    for title, what, options, amounts in ROWS:
        found: dict[int, list[tuple[float, int]]] = {amount: [] for amount in amounts}
        for _ in range(TURNS):
            for amount, measured in found.items():
                measured.append(ask(what, {**options, what: amount}))
        figures[title] = {
            amount: (
                statistics.median(seconds for seconds, _ in measured),
                statistics.median(peak for _, peak in measured),
            )
            for amount, measured in found.items()
        }
        cells = [f"{n:,}: {seconds:.1f} s, {peak / 2**20:,.0f} MiB" for n, (seconds, peak) in figures[title].items()]
        print(f"| {title} | {' | '.join(cells)} |", flush=True)
    write_atomically(REPORT, json.dumps(figures, indent=2).encode() + b"\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure_one(sys.argv[1], json.loads(sys.argv[2]))
    else:
        main()
