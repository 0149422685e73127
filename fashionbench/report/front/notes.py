"""Notes on what a reader must know before trusting the numbers."""

import re
from collections.abc import Iterator
from typing import Final

from fashionbench import units
from fashionbench.catalogue import OLDER_RELEASE, model_label
from fashionbench.judging.claims import check_accuracies
from fashionbench.options.run import UNLIKE_CLASSES
from fashionbench.report.context import Context
from fashionbench.report.figures.letters import find_missing_letters
from fashionbench.report.view import Note

__all__ = ["list_notes"]

MOST_LETTERS: Final = 40


def list_notes(context: Context) -> tuple[Note, ...]:
    """Return warnings about the measurements, each with the command that helps, if there is one."""
    found = []
    judged = context.verdict.devices if context.verdict is not None and context.verdict.is_result else ()
    once = [each.device for each in judged if each.provisional]
    if once:
        found.append(
            Note(
                text=f"Each model was trained once on {units.join_phrases(once)}, so the intervals do not include the "
                "variation over seeds. Train with more seeds:",
                command=_run_again(context, "--seeds", "3"),
            )
        )
    found.extend(Note(text=sentence) for sentence in context.left_out)
    found.extend(Note(text=sentence) for sentence in check_accuracies(context.records))
    if any(each.environment.commit_clean is False for each in context.records):
        found.append(
            Note(
                text="The checkout had uncommitted changes, so the commit does not identify the code that ran. Commit "
                "or stash the changes, then run again. List them with",
                command="git status",
            )
        )
    for library in ("torch", "fashionbench"):
        versions = sorted({each.environment.versions.get(library, units.MISSING) for each in context.records})
        if len(versions) > 1:
            found.append(
                Note(
                    text=f"The records come from several versions of {library} ({', '.join(versions)}), so the devices "
                    "differ in more than their hardware. Install one version, and run the other cases again:",
                    command=f'python -m pip install "{library}=={versions[-1]}"',
                )
            )
    if any(each.data.release == OLDER_RELEASE for each in context.trainings):
        found.append(
            Note(
                text="The data are the older draw of Fashion-MNIST; published results use the current release. Find or "
                "download the current release with",
                command="fashionbench data",
            )
        )
    found.extend(_describe_disturbances(context))
    odd = {each.model for each in context.trainings if each.model_info and each.model_info.gives_probabilities}
    found.extend(
        Note(
            text=f"The outputs of {model_label(model)} are probabilities, but the loss expects logits, so it trains "
            "worse than it could. Remove its last softmax or sigmoid."
        )
        for model in sorted(odd)
    )
    found.extend(_describe_unlike_classes(context))
    missing = find_missing_letters(name for each in context.trainings for name in each.data.classes)
    if missing:
        found.append(
            Note(
                text=f"No font on this machine has these letters of class names, so the PDF shows boxes: "
                f"{missing[:MOST_LETTERS]}. On Debian, install fonts and make the report again:",
                command="sudo apt-get install fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji",
            )
        )
    failed = sum(each.status == "failed" for each in context.records)
    if failed:
        found.append(
            Note(text=f"{failed} of {len(context.records)} cases failed. “Cases without a result” lists the reasons.")
        )
    return tuple(found)


def _describe_unlike_classes(context: Context) -> Iterator[Note]:
    """Yield a note where accuracy is compared and large classes decide it."""
    first = next((each.result for each in context.trainings if each.result is not None), None)
    if first is None or context.verdict is None or context.score != "accuracy":
        return
    counts = sorted((each.support, each.name) for each in first.scores.classes)
    (least, small), *_, (most, large) = counts
    if most > UNLIKE_CLASSES * least:
        yield Note(
            text=f"Classes are unlike: {large} has {units.count(most)} test images, {small} has {units.count(least)}. "
            "Accuracy is mostly that of large classes. Compare balanced accuracy, which counts all classes alike:",
            command="fashionbench report reports --score balanced",
        )


def _describe_disturbances(context: Context) -> Iterator[Note]:
    """Yield a note on each kind of disturbance that the records show."""
    results = [(each, each.result) for each in context.trainings if each.result is not None]
    every = units.count(len(results))
    disturbed = [(record, result) for record, result in results if result.disturbed_epochs()]
    if disturbed:
        judged = context.verdict.devices if context.verdict else ()
        doubt = "" if all(each.times_are_reliable for each in judged) else ", so the slowdown is not reliable"
        epochs = sum(len(result.disturbed_epochs()) for _, result in disturbed)
        most, worst = max(
            (max(share or 0.0 for share in result.others_cpu_share), f"{model_label(record.model)}, seed {record.seed}")
            for record, result in disturbed
        )
        yield Note(
            text=f"Other processes used up to {units.percent(most, 0)} of the CPUs ({worst}), and over "
            f"5{units.SPACE}% in {_number(epochs, 'epoch')} of {len(disturbed)} of {every} trainings. Those training "
            f"times are too long{doubt}. Close other programs, then measure again:",
            command=_run_again(context, "--fresh"),
        )
    paused = [result.paused_seconds for _, result in results if result.paused_seconds]
    if paused:
        yield Note(
            text=f"{len(paused)} of {every} trainings stood still for {_number(round(sum(paused)), 'second')} in all: "
            "their process was stopped or suspended. This is not part of the training time."
        )
    resumed = sum(result.resumed > 0 for _, result in results)
    if resumed:
        yield Note(
            text=f"{resumed} of {every} trainings were interrupted and resumed from a checkpoint. Their training time "
            "is that of the steps that were kept."
        )


def _run_again(context: Context, option: str, *value: str) -> str:
    """Return the newest training's command with an option, which replaces the same one that was typed."""
    typed = max(context.trainings, key=lambda each: each.measured_at).environment.command
    before = re.sub(rf"\s{option}((=|\s+)(?!-)\S+)?(?=\s|$)", "", typed)
    separator = ["--"] if re.search(r"\bnox\b", before) and " -- " not in before else []
    return " ".join([before, *separator, option, *value])


def _number(count: int, noun: str) -> str:
    return f"{units.count(count)} {noun}{'' if count == 1 else 's'}"
