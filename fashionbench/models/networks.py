"""The study's two networks, and torchvision's classifiers with their first and last layers adapted to a task."""

from typing import Final

import torchvision
from torch import Tensor, nn
from torchvision.models import get_model, list_models, resnet18

__all__ = ["TORCHVISION", "FashionCNN", "Shape", "build_classifier", "build_resnet18", "classifier_names"]

TORCHVISION: Final = "torchvision:"

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""


class FashionCNN(nn.Module):
    """The study's shallow network: two convolutions, three linear layers, one dropout.

    The study's notebook uses ``Dropout2d``, which on flat activations is the same as ``Dropout``. As in the study,
    there is no activation between the linear layers.
    """

    def __init__(self, shape: Shape = (1, 28, 28), classes: int = 10) -> None:
        super().__init__()
        channels, *sizes = shape
        rows, columns = ((size // 2 - 2) // 2 for size in sizes)  # 6 and 6 of 28 x 28
        self.layer1 = nn.Sequential(
            nn.Conv2d(channels, 32, kernel_size=3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2, 2)
        )
        self.layer2 = nn.Sequential(nn.Conv2d(32, 64, kernel_size=3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2, 2))
        self.fc1 = nn.Linear(64 * rows * columns, 600)
        self.dropout = nn.Dropout(0.25)
        self.fc2 = nn.Linear(600, 120)
        self.fc3 = nn.Linear(120, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of images (N, channels, height, width)."""
        features = self.layer2(self.layer1(images))  # (N, 64, rows, columns)
        hidden = self.dropout(self.fc1(features.flatten(1)))  # (N, 600)
        logits: Tensor = self.fc3(self.fc2(hidden))
        return logits


def build_resnet18(shape: Shape, classes: int) -> nn.Module:
    """Build torchvision's ResNet18, its first convolution for the images' channels, its last layer for the classes."""
    model: nn.Module = resnet18(num_classes=classes)
    model.conv1 = nn.Conv2d(shape[0], 64, kernel_size=7, stride=2, padding=3, bias=False)
    return model


def classifier_names() -> list[str]:
    """Return the names of torchvision's classifiers."""
    names: list[str] = list_models(module=torchvision.models)
    return names


def build_classifier(name: str, shape: Shape, classes: int) -> nn.Module:
    """Build an untrained classifier of torchvision.

    Its last layer returns ``classes`` logits; its first convolution accepts the channels of ``shape``.
    """
    model: nn.Module = get_model(name, weights=None, num_classes=classes)
    path, old = next(part for part in model.named_modules() if isinstance(part[1], nn.Conv2d))
    parent, _, leaf = path.rpartition(".")
    if isinstance(old, nn.Conv2d) and old.in_channels != shape[0]:
        new = nn.Conv2d(
            shape[0],
            old.out_channels,
            (old.kernel_size[0], old.kernel_size[1]),
            stride=(old.stride[0], old.stride[1]),
            padding=old.padding if isinstance(old.padding, str) else (old.padding[0], old.padding[1]),
            bias=old.bias is not None,
        )
        setattr(model.get_submodule(parent), leaf, new)
    return model
