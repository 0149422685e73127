"""Synthetic records with known truth, for tests of the report: no torch, no training."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from fashionbench.recipe.fields import RECIPES, Recipe
from fashionbench.records.fields import Packed
from fashionbench.records.record import (
    ClassScore,
    DataInfo,
    Environment,
    InferenceRecord,
    InferenceResult,
    Mistake,
    ModelInfo,
    Scores,
    Status,
    TrainingRecord,
    TrainingResult,
)

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
UNFIT: Final[Mapping[str, Any]] = {"status": "absent", "reason": "an epoch takes about 25 s, longer than the budget"}
MODEL_INFO = {
    "fashioncnn": ModelInfo(
        parameters=1_475_338,
        reachable_parameters=1_475_338,
        forward_flops=8_600_000,
        training_flops=25_600_000,
        layers=5,
        useful_forward_flops=8_500_000,
        useful_training_flops=25_300_000,
        activations=110_000,
    ),
    "resnet18": ModelInfo(
        parameters=11_175_370,
        reachable_parameters=4_228_554,
        forward_flops=66_000_000,
        training_flops=196_800_000,
        layers=21,
        useful_forward_flops=35_000_000,
        useful_training_flops=105_000_000,
        activations=140_000,
    ),
}


def make_environment(device: str = "cpu") -> Environment:
    """Return a plausible environment."""
    return Environment(
        system="Linux 6.1 x86_64",
        cpu="Synthetic CPU",
        physical_cores=2,
        logical_cores=2,
        memory_bytes=24 * 2**30,
        accelerator=None if device == "cpu" else "Synthetic GPU",
        driver=None if device == "cpu" else "driver 555.1, CUDA 13.0",
        threads=2,
        versions={"python": "3.11.7", "torch": "2.14.1", "torchvision": "0.29.1"},
        commit="0123456789abcdef0123456789abcdef01234567",
        commit_clean=True,
        command="pytest bench/ --benchmark-json=reports/benchmark.json",
    )


def make_scores(labels: NDArray[np.integer], predictions: NDArray[np.integer], classes: tuple[str, ...]) -> Scores:
    """Score predictions as the suite does."""
    every = np.arange(len(classes))
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predictions, labels=every, zero_division=0.0
    )
    return Scores(
        accuracy=float((labels == predictions).mean()),
        loss=0.25,
        macro_precision=float(precision.mean()),
        macro_recall=float(recall.mean()),
        macro_f1=float(f1.mean()),
        classes=tuple(
            ClassScore(name=n, precision=float(p), recall=float(r), f1=float(f), support=int(s))
            for n, p, r, f, s in zip(classes, precision, recall, f1, support, strict=True)
        ),
        confusion=tuple(tuple(int(v) for v in row) for row in confusion_matrix(labels, predictions, labels=every)),
    )


def make_training(
    model: str = "fashioncnn",
    *,
    device: str = "cpu",
    seed: int = 0,
    accuracy: float = 0.916,
    train_seconds: float = 240.0,
    images: int = 10_000,
    recipe: Recipe = RECIPES["study"],
    status: Status = "finished",
    reason: str = "",
    classes: tuple[str, ...] = CLASSES,
    is_unlike: bool = False,
) -> TrainingRecord:
    """Return a training record whose test accuracy is ``accuracy`` to rounding; of unlike classes, the last is rare."""
    generator = np.random.default_rng([seed, sum(model.encode())])
    # the hard images are the same for every model and seed, as they are in truth
    difficulty = np.random.default_rng(7).random(images)
    labels = np.arange(images) % len(classes)
    if is_unlike:
        labels[(labels == len(classes) - 1) & (np.arange(images) % 100 > len(classes))] = 0
    noise = generator.normal(0, 0.04, images)
    wrong = np.argsort(-(difficulty + noise))[: round(images * (1 - accuracy))]
    predictions = labels.copy()
    predictions[wrong] = (labels[wrong] + generator.integers(1, len(classes), wrong.size)) % len(classes)
    confidences = np.clip(1 - 0.5 * difficulty**3 * generator.random(images), 0.2, 1)
    epochs = recipe.for_model(model).epochs
    steps = 45
    losses = 0.2 + 2.1 * np.exp(-np.arange(epochs * steps) / 60) + generator.gamma(2, 0.02, epochs * steps)
    order = wrong[np.argsort(-confidences[wrong])][:24]
    finished = status == "finished"
    result = TrainingResult(
        train_seconds=train_seconds,
        epoch_seconds=tuple(train_seconds / epochs for _ in range(epochs)),
        build_seconds=0.1,
        warmup_seconds=0.4,
        validation_seconds=train_seconds * 0.05,
        test_seconds=train_seconds * 0.01,
        step_losses=Packed.of(losses, "<f4"),
        validation_losses=tuple(float(0.24 + 0.3 * 0.6**e) for e in range(epochs)),
        validation_accuracies=tuple(float(accuracy - 0.06 * 0.6**e) for e in range(epochs)),
        scores=make_scores(labels, predictions, classes),
        test_labels=Packed.of(labels, "u1"),
        test_predictions=Packed.of(predictions, "u1"),
        test_confidences=Packed.of(np.round(confidences * 65_535), "<u2"),
        mistakes=tuple(
            Mistake(
                index=int(i),
                label=int(labels[i]),
                prediction=int(predictions[i]),
                confidence=float(confidences[i]),
                image=Packed.of(np.random.default_rng(int(i)).integers(0, 255, (1, 28, 28)), "u1"),
            )
            for i in order
        ),
        peak_host_bytes=1_100_000_000,
        peak_device_bytes=None if device == "cpu" else 600_000_000,
    )
    return TrainingRecord(
        model=model,
        device=device,
        device_name="" if status == "absent" else ("Synthetic CPU" if device == "cpu" else "Synthetic GPU"),
        execution="fast",
        precision="fp32",
        status=status,
        reason=reason,
        measured_at="2026-11-23T12:00:00Z",
        environment=make_environment(device),
        model_info=MODEL_INFO.get(model, MODEL_INFO["fashioncnn"]) if finished else None,
        identity=hashlib.sha256(f"{model} {device} {seed} {recipe}".encode()).hexdigest(),
        seed=seed,
        recipe=recipe,
        data=DataInfo(
            name="Fashion-MNIST",
            release="current (31 Aug 2017)",
            source="Debian package dataset-fashion-mnist",
            digests={"train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
            classes=classes,
            train_images=45_000,
            validation_images=15_000,
            test_images=images,
            read_seconds=0.5,
        ),
        result=result if finished else None,
    )


def make_inference(model: str = "fashioncnn", *, device: str = "cpu", batch_size: int = 1) -> InferenceRecord:
    """Return an inference record of thirty rounds."""
    scale = (1.0 if model == "fashioncnn" else 4.0) * (0.0005 + 0.0001 * batch_size)
    rounds = scale * (1 + 0.05 * np.random.default_rng(batch_size).random(30))
    return InferenceRecord(
        model=model,
        device=device,
        device_name="Synthetic CPU" if device == "cpu" else "Synthetic GPU",
        execution="fast",
        precision="fp32",
        status="finished",
        measured_at="2026-11-23T12:00:00Z",
        environment=make_environment(device),
        model_info=MODEL_INFO[model],
        batch_size=batch_size,
        result=InferenceResult(seconds=tuple(float(s) for s in rounds)),
    )


def make_study(
    seeds: int = 3, *, gain: float = 0.002, spread: float = 0.002, devices: tuple[str, ...] = ("cpu",)
) -> list[TrainingRecord | InferenceRecord]:
    """Return both models on every device and seed, ABBA, plus inference; ``gain`` and ``spread`` are fractions."""
    generator = np.random.default_rng(0)
    records: list[TrainingRecord | InferenceRecord] = []
    for device in devices:
        minutes = {"fashioncnn": 4.0, "resnet18": 19.0}
        factor = 1.0 if device == "cpu" else 0.1
        for seed in range(seeds):
            records.extend(
                make_training(
                    model,
                    device=device,
                    seed=seed,
                    accuracy=0.916 + (gain if model == "resnet18" else 0) + float(generator.normal(0, spread)),
                    train_seconds=60 * minutes[model] * factor * float(generator.normal(1, 0.02)),
                )
                for model in (("fashioncnn", "resnet18") if seed % 2 == 0 else ("resnet18", "fashioncnn"))
            )
        records.extend(
            make_inference(model, device=device, batch_size=size)
            for model in ("fashioncnn", "resnet18")
            for size in (1, 256)
        )
    return records


def make_budgets(
    gains: Mapping[float, float | None],
    seeds: int = 3,
    *,
    devices: tuple[str, ...] = ("cpu",),
    is_unlike: bool = False,
) -> list[TrainingRecord]:
    """Return both models trained with each budget, in minutes, and its gain; None: no epoch of the big one fits."""
    generator = np.random.default_rng(0)
    records = []
    for device in devices:
        for minutes, gain in gains.items():
            seconds = {"fashioncnn": 8.0, "resnet18": 25.0 if device == "cpu" else 5.0}
            tables = {model: {"epochs": max(1, int(60 * minutes / each))} for model, each in seconds.items()}
            recipe = Recipe.model_validate({**dict(RECIPES["swift"]), "model": tables, "budget_minutes": minutes})
            records += [
                make_training(
                    model,
                    device=device,
                    seed=seed,
                    recipe=recipe,
                    accuracy=0.91 + (0.0 if model == "fashioncnn" else gain or 0) + generator.normal(0, 0.0005),
                    train_seconds=seconds[model] * recipe.for_model(model).epochs,
                    is_unlike=is_unlike,
                    **(dict[str, Any]() if gain is not None or model == "fashioncnn" else UNFIT),
                ).model_copy(update={"device_name": f"Synthetic {'CPU' if device == 'cpu' else 'GPU'}"})
                for seed in range(seeds)
                for model in ("fashioncnn", "resnet18")
            ]
    return records
