"""The models and the one registry that names them."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from fashionbench.errors import InputError

__all__ = ["MODELS", "FashionCNN", "build_model"]


class FashionCNN(nn.Module):
    """The study's shallow network: two convolutions, three linear layers, one dropout.

    The study's notebook writes ``Dropout2d``; on the flat activations it stands behind, that is plain dropout.
    There is no activation between the linear layers, as in the study's list.
    """

    def __init__(self, channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(channels, 32, kernel_size=3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2, 2)
        )
        self.layer2 = nn.Sequential(nn.Conv2d(32, 64, kernel_size=3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2, 2))
        self.fc1 = nn.Linear(64 * 6 * 6, 600)
        self.dropout = nn.Dropout(0.25)
        self.fc2 = nn.Linear(600, 120)
        self.fc3 = nn.Linear(120, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of images (N, channels, 28, 28)."""
        features = self.layer2(self.layer1(images))  # (N, 64, 6, 6)
        hidden = self.dropout(self.fc1(features.flatten(1)))  # (N, 600)
        logits: Tensor = self.fc3(self.fc2(hidden))
        return logits


def _build_resnet18(channels: int, classes: int) -> nn.Module:
    model: nn.Module = resnet18(num_classes=classes)
    model.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
    return model


MODELS: Final = MappingProxyType[str, Callable[[int, int], nn.Module]](
    {"fashioncnn": FashionCNN, "resnet18": _build_resnet18}
)


def build_model(name: str, *, channels: int, classes: int, seed: int) -> nn.Module:
    """Build a model on the CPU with weights drawn from ``seed``; torch's own generator is left as it was.

    Raises:
        InputError: No model of that name.

    """
    if name not in MODELS:
        raise InputError(
            f"unknown model {name!r}", expected=f"one of {', '.join(MODELS)}", remedy="name one of those with --models"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[name](channels, classes)
