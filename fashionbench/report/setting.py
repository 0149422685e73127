"""The chapters on how it was measured: the clock, the method, the machines, the data, and what has no result."""

from collections.abc import Iterator

from fashionbench.recipe import Recipe
from fashionbench.record import Environment, InferenceRecord, TrainingRecord
from fashionbench.report import units
from fashionbench.report.claims import check_bands
from fashionbench.report.material import Material, cell, seed_words, words
from fashionbench.report.statistics import ASSUMED_SEED_SPREAD
from fashionbench.report.tables import (
    BASELINES,
    BUILD_SECONDS,
    DEVICE,
    MINUTES,
    MODEL,
    TEST_SECONDS,
    VALIDATION_SECONDS,
    WARMUP_SECONDS,
    machine,
    model_name,
    runs,
)
from fashionbench.report.view import Block, Cell, Note, Prose, Table

__all__ = ["clock", "data", "environment", "glossary", "kicker", "method", "notes", "unfinished"]

OLDER = "older draw"
"""How the release of Fashion-MNIST begins that published results do not stand on."""


def kicker(material: Material) -> tuple[str, ...]:
    """Return what was run, in a few words."""
    first = next((each for each in material.records if isinstance(each, TrainingRecord)), None)
    days = sorted({each.measured_at[:10] for each in material.records})
    names = list(dict.fromkeys(each.recipe.name for each in material.records if isinstance(each, TrainingRecord)))
    recipes = f"recipe{'s' if len(names) > 1 else ''} {', '.join(names)}"
    about = (
        (", ".join(word for word in (first.data.name, first.data.release) if word), recipes)
        if first
        else ("inference only",)
    )
    seeds = len({each.seed for each in material.trainings})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    devices = ", ".join(material.devices) or "no device finished"
    return ("FashionBench", *about, seed_words(seeds), devices, span)


def notes(material: Material) -> tuple[Note, ...]:
    """Return what a reader must know before the numbers are trusted, each with its remedy."""
    found = []
    for device in material.devices:
        judged = material.judged(device)
        if judged is not None and judged.provisional:
            found.append(
                Note(
                    text=f"One training each on {device}: seed-to-seed variation is not in these intervals. "
                    "Repeat with",
                    command="nox -s bench -- --seeds 3",
                )
            )
    found.extend(Note(text=sentence) for sentence in check_bands(material.records))
    if any(each.environment.commit_clean is False for each in material.records):
        found.append(
            Note(
                text="Measured from a checkout with uncommitted changes: the commit does not tell what ran. "
                "Commit or stash, then run again; see",
                command="git status",
            )
        )
    for library in ("torch", "fashionbench"):
        versions = sorted({each.environment.versions.get(library, units.MISSING) for each in material.records})
        if len(versions) > 1:
            found.append(
                Note(
                    text=f"Measured with several versions of {library} ({', '.join(versions)}), so that devices differ "
                    "in more than their hardware. Install one, and run the others again:",
                    command=f'python -m pip install "{library}=={versions[-1]}"',
                )
            )
    if any(each.data.release.startswith(OLDER) for each in material.trainings):
        found.append(
            Note(
                text="Measured on the older draw of the data, while published results stand on the current release. "
                "This finds or fetches that:",
                command="fashionbench data",
            )
        )
    lost = [each for each in material.records if each.status == "failed"]
    if lost:
        found.append(Note(text=f"{len(lost)} of {len(material.records)} cases failed: see the last table."))
    return tuple(found)


def clock(material: Material) -> tuple[Block, ...]:
    """Say what was on the clock, with the measured seconds of what was not."""
    frame = runs(material.records)
    columns = [BUILD_SECONDS, WARMUP_SECONDS, VALIDATION_SECONDS, TEST_SECONDS]
    means = frame[frame[MINUTES].notna()].groupby([DEVICE, MODEL], sort=False)[[MINUTES, *columns]].mean()
    rows = sorted(means.itertuples(name=None), key=lambda row: list(material.looks).index(row[0][1]))
    return (
        Prose(partial="partials/clock.j2", facts={"self_checks": " ".join(_self_checks(material))}),
        Table(
            caption="Seconds, means over seeds",
            groups=(("", 2), ("on the clock", 1), ("off the clock", 4)),
            head=("model", "device", "training", "build", "warm-up", "validation", "test"),
            rows=tuple(
                (
                    Cell(text=material.looks[model].name, look=material.looks[model], words=True),
                    words(device),
                    cell(units.fixed(60 * minutes, 1)),
                    *(cell(units.fixed(value, 1)) for value in seconds),
                )
                for (device, model), minutes, *seconds in rows
            ),
        ),
    )


def _self_checks(material: Material) -> Iterator[str]:
    """Tell for each case that was trained twice by how much its minutes and its bits differ."""
    for each in material.trainings:
        check = each.result.self_check if each.result else None
        if each.result is not None and check is not None:
            first, second = each.result.train_seconds, check.train_seconds
            yield (
                f"{model_name(each.model)} on {material.labels[machine(each)]}, seed {each.seed}, trained twice: "
                f"{units.seconds(first)} and {units.seconds(second)}, "
                f"{units.percent(abs(second - first) / first)} apart; "
                f"{units.count(check.differing_losses)} of {units.count(each.result.step_losses.shape[0])} training "
                f"losses and {units.count(check.differing_predictions)} of "
                f"{units.count(each.result.test_predictions.shape[0])} predictions differ."
            )


def method(material: Material) -> tuple[Block, ...]:
    """Tell the method in words, with the recipes' values."""
    counts = material.trainings[0].data
    recipes = {each.recipe.name: each.recipe for each in material.trainings}
    ways = sorted({f"{each.precision} arithmetic, {each.execution} execution" for each in material.trainings})
    return (
        Prose(
            partial="partials/method.j2",
            facts={
                "recipes": " ".join(_recipe_words(material, recipe) for recipe in recipes.values()),
                "study": recipes["study"].name if "study" in recipes else "",
                "ways": "; ".join(ways),
                "validation": units.percent(next(iter(recipes.values())).validation_fraction, 0),
                "train_images": units.count(counts.train_images),
                "validation_images": units.count(counts.validation_images),
                "test_images": units.count(counts.test_images),
                "margin": units.pp(material.verdict.thresholds.margin).removeprefix("+") if material.verdict else "",
                "seed_spread": units.pp(ASSUMED_SEED_SPREAD, 2).removeprefix("+"),
                "tie": units.ratio(material.verdict.thresholds.tie_slowdown, 2) if material.verdict else "",
                "gain_method": material.verdict.devices[0].gain.method if material.verdict else "",
                "slowdown_method": material.verdict.devices[0].slowdown.method if material.verdict else "",
                "looks": ", ".join(map(units.count, material.verdict.devices[0].looks)) if material.verdict else "",
            },
        ),
    )


def _recipe_words(material: Material, recipe: Recipe) -> str:
    schedule = (
        "raised to that rate and lowered to nothing in one cycle"
        if recipe.schedule == "one-cycle"
        else f"multiplied by {recipe.gamma:g} every {units.count(recipe.step_epochs)} epochs"
    )
    stepping = {each.model for each in material.trainings if each.result and each.result.step_losses.shape[0]}
    batches = ", ".join(
        f"{recipe.batch_size_for(model)} for {look.name}" for model, look in material.looks.items() if model in stepping
    )
    others = [look.name for model, look in material.looks.items() if model in BASELINES]
    fitted = f" {', '.join(others)}: fitted by scikit-learn with its defaults, to the same images." if others else ""
    numbers = {look.name: recipe.epochs_for(model) for model, look in material.looks.items() if model in stepping}
    epochs = (
        " and ".join(f"{_epochs(number)} for {name}" for name, number in numbers.items()) + ","
        if len({*numbers.values()}) > 1
        else _epochs(max(numbers.values(), default=recipe.epochs))
    )
    smoothing = f"; labels smoothed by {recipe.label_smoothing:g}" if recipe.label_smoothing else ""
    return (
        f"Recipe {recipe.name}: {epochs} of Adam at a learning rate of {recipe.learning_rate:g}, {schedule}; "
        f"batches of {batches}{smoothing}.{fitted}"
    )


def _epochs(number: int) -> str:
    return f"{units.count(number)} epoch{'s' if number > 1 else ''}"


def environment(material: Material) -> tuple[Block, ...]:
    """Tabulate every machine: hardware, versions, commit, and the command that repeats the run."""
    firsts: dict[str, TrainingRecord | InferenceRecord] = {}
    for each in material.records:
        firsts.setdefault(material.labels[machine(each)], each)
    return tuple(
        Table(
            caption=f"On {label}",
            head=(),
            rows=tuple((words(name), words(value)) for name, value in _facts(each)),
        )
        for label, each in firsts.items()
        if each.status != "absent"
    )


def _facts(record: TrainingRecord | InferenceRecord) -> Iterator[tuple[str, str]]:
    where: Environment = record.environment
    cores = f"{units.count(where.physical_cores)} physical, {units.count(where.logical_cores)} logical"
    yield "device", f"{record.device}: {record.device_name}"
    yield "CPU", f"{where.cpu}, {cores}, {where.threads} threads used"
    yield "memory", units.mebibytes(where.memory_bytes)
    if where.accelerator is not None:
        yield "accelerator", f"{where.accelerator}, driver {where.driver or units.MISSING}"
    yield "system", where.system
    yield "versions", ", ".join(f"{name} {version}" for name, version in sorted(where.versions.items()))
    state = {True: "clean", False: "with uncommitted changes", None: "state unknown"}[where.commit_clean]
    yield "commit", f"{where.commit}, {state}" if where.commit else "installed package"
    yield "repeat with", where.command


def data(material: Material) -> tuple[Block, ...]:
    """Tabulate the data's release, source and digests."""
    info = material.trainings[0].data
    counts = {"training": info.train_images, "validation": info.validation_images, "test": info.test_images}
    rows = [
        ("release", ", ".join(word for word in (info.name, info.release) if word)),
        ("source", info.source),
        ("images", ", ".join(f"{units.count(number)} {use}" for use, number in counts.items())),
        *((f"SHA-256 of {name}", digest) for name, digest in sorted(info.digests.items())),
    ]
    return (
        Table(
            caption="The images",
            head=(),
            rows=tuple((words(name), words(value)) for name, value in rows),
        ),
    )


def unfinished(material: Material) -> tuple[Block, ...]:
    """Tabulate what failed or was absent, with the reason."""
    rows = [
        (
            words(material.labels[machine(each)]),
            words(model_name(each.model)),
            words(f"seed {each.seed}" if isinstance(each, TrainingRecord) else f"batch {each.batch_size}"),
            words(each.status),
            words(each.reason or units.MISSING),
        )
        for each in material.records
        if each.status != "finished"
    ]
    if not rows:
        return ()
    return (Table(caption="Without a result", head=("device", "model", "case", "status", "reason"), rows=tuple(rows)),)


def glossary(_: Material) -> tuple[Block, ...]:
    """Explain the words that the page uses."""
    return (Prose(partial="partials/glossary.j2"),)
