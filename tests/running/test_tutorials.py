"""Networks as tutorials write them fit, are told of, or are refused with what to do."""

from pathlib import Path

import pytest
from cases import CPU

from fashionbench.data.dataset import Dataset
from fashionbench.errors import InputError
from fashionbench.recipe.fields import RECIPES
from fashionbench.running.preflight import check_fit
from fashionbench.training.case import Case

NETS = """
from functools import partial
import torch
from torch import nn
from torch.nn import functional as F

class Net(nn.Module):  # PyTorch's example of MNIST
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, 1), nn.Conv2d(4, 8, 3, 1)
        self.dropout1, self.fc1, self.fc2 = nn.Dropout(0.25), nn.Linear(8 * 12 * 12, 16), nn.Linear(16, 10)
    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
        return F.log_softmax(self.fc2(F.relu(self.fc1(torch.flatten(self.dropout1(x), 1)))), dim=1)

class Base(nn.Module):  # the others differ in what they take
    def __init__(self, channels, inputs, outputs, hidden=8):
        super().__init__()
        self.taken = channels, inputs, outputs
        self.f = nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
    def forward(self, x): return self.f(x)

class Defaults(Base):
    def __init__(self, num_classes=10, dropout=0.5): super().__init__(1, 784, num_classes)
class Classes(Base):
    def __init__(self, num_classes): super().__init__(1, 784, num_classes)
class ChannelsClasses(Base):
    def __init__(self, in_channels, num_classes): super().__init__(in_channels, in_channels * 784, num_classes)
class ShapeClasses(Base):
    def __init__(self, shape, classes): super().__init__(shape[0], shape[0] * shape[1] * shape[2], classes)
class InputShape(Base):
    def __init__(self, input_shape, n_classes): super().__init__(1, input_shape[1] * input_shape[2], n_classes)
class Sizes(Base):
    def __init__(self, input_size, output_size): super().__init__(1, input_size, output_size)
class Hidden(Base):
    def __init__(self, input_size=784, hidden_size=8, num_classes=10):
        super().__init__(1, input_size, num_classes, hidden_size)
class Keywords(Base):
    def __init__(self, *, img_size=28, in_chans=3, n_outputs=1000):
        super().__init__(in_chans, in_chans * img_size ** 2, n_outputs)
class OneChannel(Base):
    def __init__(self, in_channel=3, n_class=2): super().__init__(in_channel, in_channel * 784, n_class)
class NeedsHidden(Base):
    def __init__(self, input_size, hidden_size, num_classes): super().__init__(1, input_size, num_classes, hidden_size)
class NeedsConfig(Base):
    def __init__(self, config): super().__init__(1, 784, 10)

def factory(): return Base(1, 784, 10)
def factory_of_classes(num_classes=10, **kwargs): return Base(1, 784, num_classes)
def factory_of_both(shape, classes): return Base(shape[0], 784, classes)
short = lambda: Base(1, 784, 10)
short_of_both = lambda shape, classes: Base(shape[0], 784, classes)
bound = partial(Base, 1, 784, hidden=4)
built = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
lazy = lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
softmax = lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Softmax(dim=1))
three_channels = lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 26 * 26, 10))
of_32 = lambda: nn.Sequential(nn.Conv2d(1, 4, 5), nn.Flatten(), nn.Linear(4 * 28 * 28, 10))
of_1000 = lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 1000))

class Auxiliary(Base):
    def __init__(self): super().__init__(1, 784, 10)
    def forward(self, x): return (self.f(x), self.f(x)) if self.training else self.f(x)
class Both(Base):
    def __init__(self): super().__init__(1, 784, 10)
    def forward(self, x): return self.f(x), x.flatten(1)
class Named(Base):
    def __init__(self): super().__init__(1, 784, 10)
    def forward(self, x): return {"logits": self.f(x)}
"""

FITTING = {
    "Net": "Net()",
    "Defaults": "Defaults(num_classes=10)",
    "Classes": "Classes(num_classes=10)",
    "ChannelsClasses": "ChannelsClasses(in_channels=1, num_classes=10)",
    "ShapeClasses": "ShapeClasses(shape=(1, 28, 28), classes=10)",
    "InputShape": "InputShape(input_shape=(1, 28, 28), n_classes=10)",
    "Sizes": "Sizes(input_size=784, output_size=10)",
    "Hidden": "Hidden(num_classes=10)",
    "Keywords": "Keywords(img_size=28, in_chans=1, n_outputs=10)",
    "OneChannel": "OneChannel(in_channel=1, n_class=10)",
    "factory": "factory()",
    "factory_of_classes": "factory_of_classes(num_classes=10)",
    "factory_of_both": "factory_of_both(shape=(1, 28, 28), classes=10)",
    "short": "<lambda>()",
    "short_of_both": "<lambda>(shape=(1, 28, 28), classes=10)",
    "lazy": "<lambda>()",
}

REFUSED = {
    "NeedsHidden": "needs 'hidden_size', which has no default. Expected no required parameters but",
    "NeedsConfig": "needs 'config', which has no default",
    "bound": "needs 'outputs', which has no default",
    "built": "is a network that is already built. Expected a class or a function that builds a network",
    "three_channels": "fails on images of 1 x 28 x 28 (RuntimeError: ",
    "of_32": "or another size of your images with --image-size",
    "of_1000": "gives (2, 1000), torch.float32 for 2 images of 1 x 28 x 28",
    "Auxiliary": "gives tuple for 2 images of 1 x 28 x 28 in training. Expected a network that takes images",
    "Both": "Return the logits alone",
    "Named": "Return the logits alone",
}


@pytest.fixture
def tutorials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "tutorials_of_people.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "tutorials_of_people"


def check(sample: Dataset, model: str) -> tuple[str, ...]:
    return check_fit(Case(model=model, device=CPU, recipe=RECIPES["smoke"], seed=0), sample)


def test_most_fit_as_they_are_and_the_call_is_told(sample: Dataset, tutorials: str) -> None:
    told = {name: check(sample, f"{tutorials}:{name}") for name in FITTING}

    assert told == {name: (f"{tutorials}:{name}: called as {call}",) for name, call in FITTING.items()}


def test_a_last_softmax_is_told(sample: Dataset, tutorials: str) -> None:
    told = check(sample, f"{tutorials}:softmax")

    assert any("its outputs are probabilities" in line for line in told)


@pytest.mark.parametrize("name", REFUSED)
def test_the_others_are_refused_with_what_to_do(sample: Dataset, tutorials: str, name: str) -> None:
    with pytest.raises(InputError) as refused:
        check(sample, f"{tutorials}:{name}")

    assert REFUSED[name] in str(refused.value)
