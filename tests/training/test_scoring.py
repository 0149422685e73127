"""Scores are scikit-learn's, and scoring leaves the model as it was."""

import pytest
import torch
from sklearn.metrics import classification_report
from torch import nn

from fashionbench.training.scoring import MISTAKES_KEPT, Predictions, pick_mistakes, predict, score

NAMES = ("one", "two", "three", "four")


def predictions_of(classes: list[int], confidences: list[float] | None = None) -> Predictions:
    return Predictions(
        classes=torch.tensor(classes),
        confidences=torch.tensor(confidences or [0.9] * len(classes)),
        loss=0.3,
        accuracy=0.5,
    )


def test_scores_are_those_of_the_classification_report() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (200,), generator=generator)
    said = torch.where(torch.rand(200, generator=generator) < 0.7, labels, 3 - labels)

    scores = score(predictions_of(said.tolist()), labels, NAMES)

    expected = classification_report(labels.numpy(), said.numpy(), target_names=NAMES, output_dict=True)
    assert scores.accuracy == pytest.approx(expected["accuracy"], abs=1e-12)
    assert scores.macro_f1 == pytest.approx(expected["macro avg"]["f1-score"], abs=1e-12)
    for each in scores.classes:
        assert each.precision == pytest.approx(expected[each.name]["precision"], abs=1e-12)
        assert each.recall == pytest.approx(expected[each.name]["recall"], abs=1e-12)
        assert each.f1 == pytest.approx(expected[each.name]["f1-score"], abs=1e-12)
        assert each.support == expected[each.name]["support"]


def test_a_class_never_predicted_scores_zero_without_a_warning() -> None:
    scores = score(predictions_of([0, 0, 0, 0]), torch.tensor([0, 1, 2, 3]), NAMES)

    assert scores.classes[1].precision == 0.0
    assert scores.confusion == ((1, 0, 0, 0), (1, 0, 0, 0), (1, 0, 0, 0), (1, 0, 0, 0))


def test_prediction_leaves_weights_and_statistics_alone() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.randint(256, (20, 1, 4, 4), dtype=torch.uint8)
    labels = torch.arange(20) % 4

    first, second = predict(model, images, labels), predict(model, images, labels)

    assert torch.equal(first.confidences, second.confidences)
    assert first.accuracy == pytest.approx(float((first.classes == labels).float().mean()))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_mistakes_come_most_confident_first_with_their_images() -> None:
    labels = torch.tensor([0, 1, 2, 3])
    images = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 2, 2)

    mistakes = pick_mistakes(predictions_of([1, 1, 0, 0], [0.4, 0.99, 0.6, 0.8]), images, labels)

    assert [mistake.index for mistake in mistakes] == [3, 2, 0]
    assert mistakes[0].image.array().tolist() == [[[3, 3], [3, 3]]]
    assert (mistakes[0].label, mistakes[0].prediction) == (3, 0)


def test_only_so_many_mistakes_are_kept() -> None:
    labels = torch.zeros(100, dtype=torch.int64)
    images = torch.zeros(100, 1, 2, 2, dtype=torch.uint8)

    mistakes = pick_mistakes(predictions_of([1] * 100), images, labels)

    assert len(mistakes) == MISTAKES_KEPT
