"""From a trained model to predictions, and from predictions to scores (scikit-learn's definitions)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from torch import Tensor, nn
from torch.nn import functional

from fashionbench.devices.precision import arithmetic
from fashionbench.errors import CaseFailedError
from fashionbench.execution.step import scale_pixels
from fashionbench.records.fields import Packed
from fashionbench.records.record import ClassScore, Mistake, Precision, Scores

__all__ = ["Predictions", "pick_mistakes", "predict", "score"]

SCORING_BATCH = 500

MISTAKES_KEPT = 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """What a model says of N images, on the CPU."""

    classes: Tensor
    """(N,), int64."""
    confidences: Tensor
    """Softmax probability of that class, (N,), float32."""
    loss: float
    """Mean cross entropy."""
    accuracy: float
    """A fraction."""


@torch.no_grad()  # no inference mode, in which a network cannot have gradients of its own, as of the images
def predict(model: nn.Module, images: Tensor, labels: Tensor, precision: Precision = "fp32") -> Predictions:
    """Run a model in evaluation mode over images (N, C, H, W), uint8, and labels (N,), on the CPU.

    The model is left in evaluation mode, its weights and statistics untouched.

    Raises:
        CaseFailedError: The loss is not finite.

    """
    device = next(model.parameters(), torch.empty(0)).device  # a classical baseline has none
    model.eval()
    with arithmetic(device, precision):
        outputs = [model(scale_pixels(batch.to(device))).float().cpu() for batch in images.split(SCORING_BATCH)]
    logits = torch.cat(outputs)  # (N, K)
    loss = float(functional.cross_entropy(logits, labels))
    if not math.isfinite(loss):
        raise CaseFailedError(
            f"the loss in evaluation is {loss}",
            expected="finite logits",
            remedy="lower the recipe's learning_rate, or correct what the model does in evaluation mode",
        )
    confidences, classes = logits.softmax(dim=1).max(dim=1)
    return Predictions(
        classes=classes,
        confidences=confidences,
        loss=loss,
        accuracy=float((classes == labels).float().mean()),
    )


def score(predictions: Predictions, labels: Tensor, names: tuple[str, ...]) -> Scores:
    """Return accuracy, precision, recall and F1; a class never predicted or never there scores 0."""
    truth: NDArray[np.int64] = labels.numpy()
    said: NDArray[np.int64] = predictions.classes.numpy()
    every = range(len(names))
    precision, recall, f1, support = precision_recall_fscore_support(truth, said, labels=every, zero_division=0.0)
    return Scores(
        accuracy=float((truth == said).mean()),
        loss=predictions.loss,
        macro_precision=float(precision.mean()),
        macro_recall=float(recall.mean()),
        macro_f1=float(f1.mean()),
        classes=tuple(
            ClassScore(name=name, precision=float(p), recall=float(r), f1=float(f), support=int(n))
            for name, p, r, f, n in zip(names, precision, recall, f1, support, strict=True)
        ),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion_matrix(truth, said, labels=every)),
    )


def pick_mistakes(predictions: Predictions, images: Tensor, labels: Tensor) -> tuple[Mistake, ...]:
    """Return the most confident mistakes with their images (uint8), most confident first."""
    wrong = (predictions.classes != labels).nonzero().flatten()
    ranked = wrong[predictions.confidences[wrong].argsort(descending=True, stable=True)][:MISTAKES_KEPT]
    return tuple(
        Mistake(
            index=index,
            label=int(labels[index]),
            prediction=int(predictions.classes[index]),
            confidence=float(predictions.confidences[index]),
            image=Packed.of(images[index].numpy(), "u1"),
        )
        for index in ranked.tolist()
    )
