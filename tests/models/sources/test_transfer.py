"""A frozen network trains its head alone, its norms keep their statistics, and images are normalised as asked."""

import copy

import pytest
import torch
from torch import nn

from fashionbench.errors import InputError
from fashionbench.models.sources.transfer import freeze_all_but, normalize
from fashionbench.recipe.fields import Normalization


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 4, 3)),
        *(
            nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
            nn.Flatten(),
            nn.BatchNorm1d(64),
            nn.Linear(64, 5),
        ),
    )


def test_only_the_head_is_trained_and_frozen_norms_stay_in_evaluation() -> None:
    model = freeze_all_but(network(), 5)

    model.train()
    other = copy.deepcopy(model).eval().train()

    assert [name for name, each in model.named_parameters() if each.requires_grad] == ["8.weight", "8.bias"]
    for each in (model, other):
        assert isinstance(each, nn.Sequential)
        assert [part.training for part in each] == [True, False, True, True, True, False, True, False, True]
        assert isinstance(each[1], nn.BatchNorm2d)


def test_a_frozen_network_trains_to_the_same_statistics() -> None:
    model = freeze_all_but(network(), 5).train()
    before = copy.deepcopy(model.state_dict())

    for _ in range(3):
        model(torch.rand(6, 1, 8, 8)).sum().backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()

    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["8.weight", "8.bias"]


def test_what_is_new_is_trained_too() -> None:
    model = freeze_all_but(network(), 5, new=("0.weight", "0.bias"))

    trained = [name for name, each in model.named_parameters() if each.requires_grad]

    assert trained == ["0.weight", "0.bias", "8.weight", "8.bias"]


@pytest.mark.parametrize(
    ("how", "channels", "expected"),
    [
        ("imagenet", 3, [(0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225]),
        ("imagenet", 1, [(0.5 - 0.449) / 0.226]),
        (((0.25,), (0.5,)), 3, [0.5, 0.5, 0.5]),
        (((0.0, 0.25), (1.0, 0.5)), 2, [0.5, 0.5]),
    ],
)
def test_images_are_normalised_channel_by_channel(how: Normalization, channels: int, expected: list[float]) -> None:
    found = normalize(nn.Identity(), how, channels)(torch.full((2, channels, 4, 4), 0.5))

    assert torch.allclose(found, torch.tensor(expected).view(1, -1, 1, 1).expand_as(found), atol=1e-6)


def test_other_numbers_of_values_than_channels_are_refused() -> None:
    with pytest.raises(InputError, match=r"Normalize has 2 means and 2 standard deviations, the images 3 channels"):
        normalize(nn.Identity(), ((0.1, 0.2), (0.3, 0.4)), 3)
