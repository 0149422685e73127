"""The study's two networks, their first and last layers adapted to a task."""

from torch import Tensor, nn
from torchvision.models import resnet18

__all__ = ["FashionCNN", "Shape", "build_resnet18"]

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
