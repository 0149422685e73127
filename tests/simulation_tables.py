"""Prints the tables of docs/statistics.md, of simulated studies with a known truth.

All of them take some 10 minutes; ``python tests/simulation_tables.py prices classes`` prints some.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from simulation import (
    CURVES,
    LOOKS,
    MARGIN,
    NOISY_SPREAD,
    SEED_SPREAD,
    SEEDS,
    UNLIKE_SIZES,
    add_seeds_until_decided,
    cover_balanced,
    cover_classes,
    cover_crossover,
    simulate,
    true_balanced_gain,
    true_crossover,
    weigh_price,
)

from fashionbench.judging.statistics.gains import gain_interval, gain_probabilities, probability_of_winning
from fashionbench.judging.statistics.intervals import seed_allowance


def tabulate_balanced(studies: int) -> Iterator[str]:
    """Yield the table of gains in balanced accuracy."""
    yield "| seeds | images of each class | true gain, pp | covered, % | above zero, % | mean half-width, pp |"
    yield "| --: | :-- | --: | --: | --: | --: |"
    for seeds in (1, 3, 5):
        for sizes in (UNLIKE_SIZES, [each // 20 for each in UNLIKE_SIZES]):
            for shift in (0.0, 0.5):
                generator = np.random.default_rng([19, seeds, sizes[0]])
                covered, above, half = cover_balanced(generator, seeds, sizes, shift, studies)
                yield (
                    f"| {seeds} | {', '.join(map(str, sizes))} | {100 * true_balanced_gain(shift):.2f} | "
                    f"{100 * covered:.1f} | {100 * above:.1f} | {100 * half:.2f} |"
                )


def tabulate_prices(studies: int) -> Iterator[str]:
    """Yield the table of prices."""
    yield "| seeds | spread of times, % | price's interval covers it, % | worth it, % | not worth it, % |"
    yield "| --: | --: | --: | --: | --: |"
    for seeds in (3, 5):
        generator = np.random.default_rng([17, seeds])
        gains = [gain_interval(*simulate(generator, 0.015, seeds)) for _ in range(studies)]
        gains = [each for each in gains if each.low > 0]
        for spread in (0.02, 0.1, 0.2, 0.3):
            found = [weigh_price(generator, each, spread, seeds, 0.015) for each in gains]
            shares = [np.mean([state == wanted for _, state in found]) for wanted in ("WORTH IT", "NOT WORTH IT")]
            yield (
                f"| {seeds} | {100 * spread:.0f} | {100 * np.mean([is_covered for is_covered, _ in found]):.1f} | "
                f"{100 * shares[0]:.1f} | {100 * shares[1]:.1f} |"
            )


def tabulate_crossovers(studies: int) -> Iterator[str]:
    """Yield the table of crossovers: for 1, 3 and 5 seeds, how many intervals cover the truth, end before it, or after.

    And how many of them have no upper end, and how wide the others are.
    """
    each_seed = (f"{seeds} seed{'s' * (seeds > 1)}, %" for seeds in SEEDS)
    yield f"| gains, pp | true crossover, min | spread, pp | {' | '.join(each_seed)} | open, % | width |"
    yield "| :-- | --: | --: | --: | --: | --: | --: | --: |"
    for name, gains in CURVES.items():
        truth = true_crossover(gains)
        for spread in (SEED_SPREAD, NOISY_SPREAD):
            found = [cover_crossover(np.random.default_rng([19, n]), gains, n, studies, spread) for n in SEEDS]
            cells = [
                f"{name}: {', '.join(f'{100 * each:g}' for each in gains)}",
                "none up to 8" if truth == math.inf else f"{truth:.2f}",
                f"{100 * spread:g}",
                *(f"{100 * each.covered:.1f} ({100 * each.early:.1f}, {100 * each.late:.1f})" for each in found),
                ", ".join(f"{100 * each.is_open:.0f}" for each in found),
                ", ".join("–" if math.isnan(each.width) else f"{each.width:.1f}" for each in found),
            ]
            yield f"| {' | '.join(cells)} |"


def tabulate_coverage(studies: int) -> Iterator[str]:
    """Yield the table of gains."""
    yield "| seeds | true gain, pp | interval covers it, % | WORTH IT, % | mean half-width, pp |"
    yield "| --: | --: | --: | --: | --: |"
    for seeds in SEEDS:
        for gain in (0.0, 0.0045, 0.005, 0.015):
            generator = np.random.default_rng([seeds, round(gain * 10_000)])
            found = [gain_interval(*simulate(generator, gain, seeds)) for _ in range(studies)]
            covered = np.mean([each.low <= gain <= each.high for each in found])
            worth = np.mean([each.low - seed_allowance(each, seeds) >= MARGIN for each in found])
            half = np.mean([each.high - each.estimate for each in found])
            yield (f"| {seeds} | {100 * gain:.2f} | {100 * covered:.1f} | {100 * worth:.1f} | {100 * half:.2f} |")


def tabulate_probabilities(studies: int) -> Iterator[str]:
    """Yield the table of stated probabilities and of the shares that were true, and that of one more training."""
    ranges = [0.0, 0.1, 0.5, 0.9, 1.0]
    yield f"| seeds | probability | {' | '.join(f'{100 * a:.0f} to {100 * b:.0f} %' for a, b in pairwise(ranges))} |"
    yield "| --: | :-- | --: | --: | --: | --: |"
    wins: list[tuple[float, bool]] = []
    for seeds in SEEDS:
        generator = np.random.default_rng([20, seeds])
        stated: dict[str, list[tuple[float, bool]]] = {"above the margin": [], "within the margin": []}
        for _ in range(studies):
            gain = generator.uniform(-0.01, 0.01)
            big, small = simulate(generator, gain, seeds + 1)
            found = gain_probabilities(big[:seeds], small[:seeds], MARGIN)
            stated["above the margin"].append((found.at_least_margin, gain >= MARGIN))
            stated["within the margin"].append((found.within_margin, abs(gain) < MARGIN))
            if seeds == 3:
                wins.append((probability_of_winning(big[:seeds], small[:seeds]), bool(big[-1].sum() > small[-1].sum())))
        for name, outcomes in stated.items():
            yield f"| {seeds} | {name} | {' | '.join(compare_probabilities(outcomes, ranges))} |"
    yield f"One more training wins (3 seeds): {'; '.join(compare_probabilities(wins, np.linspace(0, 1, 6).tolist()))}"


def compare_probabilities(outcomes: Sequence[tuple[float, bool]], ranges: Sequence[float]) -> Iterator[str]:
    """Yield for each range of stated probabilities their mean, the share that was true, and how many they are."""
    stated, true = np.array(outcomes).T
    for low, high in pairwise(ranges):
        chosen = (stated >= low) & ((stated < high) | (high == 1.0))
        some = chosen.any()
        yield (
            f"{100 * stated[chosen].mean():.1f}, {100 * true[chosen].mean():.1f} ({chosen.sum():,})" if some else "none"
        )


def tabulate_interim_analyses(studies: int) -> Iterator[str]:
    """Yield the table of interim analyses; in brackets with plain 95 % intervals."""
    yield (
        "| true gain, pp | WORTH IT, % | NOT WORTH IT, % | open at 20 seeds, % | seeds, mean "
        "| all intervals cover the gain, % |"
    )
    yield "| --: | --: | --: | --: | --: | --: |"
    for gain in (0.0, 0.0045, 0.005, 0.01, 0.015):
        simulated = [simulate(np.random.default_rng(seed), gain, LOOKS[-1]) for seed in range(studies)]
        columns = []
        for looks in (LOOKS, ()):
            states, seeds, covered = zip(
                *(add_seeds_until_decided(*each, gain, looks) for each in simulated), strict=True
            )
            shares = [
                100 * np.mean([s == name for s in states]) for name in ("WORTH IT", "NOT WORTH IT", "CANNOT TELL")
            ]
            columns.append([f"{each:.1f}" for each in (*shares, np.mean(seeds), 100 * np.mean(covered))])
        cells = [f"{own} ({plain})" for own, plain in zip(*columns, strict=True)]
        yield f"| {100 * gain:.2f} | {' | '.join(cells)} |"


def tabulate_classes(studies: int) -> Iterator[str]:
    """Yield the table of class differences."""
    yield "| seeds | shift of one class | lowest coverage, % | mean coverage, % | highest, % | false “significant”, % |"
    yield "| --: | --: | --: | --: | --: | --: |"
    for seeds in (3, 5):
        for shift in (0.0, 0.2):
            covered, false = cover_classes(np.random.default_rng([18, seeds]), seeds, studies, shift)
            values = 100 * np.array(list(covered.values()))
            yield (
                f"| {seeds} | {shift} | {values.min():.1f} | {values.mean():.1f} | {values.max():.1f} | "
                f"{100 * false:.1f} |"
            )


TABLES: Final = {
    "coverage": (tabulate_coverage, 1_000),
    "probabilities": (tabulate_probabilities, 2_000),
    "balanced": (tabulate_balanced, 1_000),
    "interim": (tabulate_interim_analyses, 1_000),
    "prices": (tabulate_prices, 2_000),
    "crossovers": (tabulate_crossovers, 500),
    "classes": (tabulate_classes, 2_000),
}
"""By name, in the order of the page: what yields it, and of how many studies a row."""

if __name__ == "__main__":
    for name in sys.argv[1:] or TABLES:
        tabulate, number = TABLES[name]
        for line in tabulate(number):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        sys.stdout.write("\n")
