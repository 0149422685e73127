"""Augmentation does what torchvision's functional transforms do, as often as the recipe says."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from fashionbench.recipe.fields import Augmentation
from fashionbench.training.ingredients.augmentation import Draws, augment, augment_batches, draw

ALL = Augmentation(flip=True, shift=3, erase=0.5)


def images(count: int = 64, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, 12, 9, generator=torch.Generator().manual_seed(0))


def drawn(how: Augmentation, given: Tensor, seed: int = 0, epoch: int = 0) -> Draws:
    draws = draw(how, given, seed=seed, epoch=epoch)
    assert draws is not None
    return draws


def reference(image: Tensor, draws: Draws, place: int) -> Tensor:
    """Augment one image by torchvision."""
    down, right = draws.shifts[place].tolist()
    top, left, height, width = draws.boxes[place].tolist()
    image = functional.hflip(image) if bool(draws.flipped[place]) else image
    image = functional.affine(image, angle=0.0, translate=[right, down], scale=1.0, shear=[0.0, 0.0])
    erased: Tensor = functional.erase(image, top, left, height, width, torch.zeros(()))
    return erased


@pytest.mark.parametrize(
    "how", [Augmentation(flip=True), Augmentation(shift=3), Augmentation(shift=8), Augmentation(erase=1.0), ALL]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_augmented_as_by_torchvision(how: Augmentation, channels: int) -> None:
    given = images(channels=channels)
    draws = drawn(how, given)

    found = augment(given, draws)

    assert found.is_contiguous()
    for place in range(len(given)):
        assert torch.equal(found[place], reference(given[place], draws, place)), place
    assert not torch.equal(found, given)


def test_nothing_is_done_where_nothing_is_asked_for() -> None:
    batches = [(images(), torch.arange(64))]
    draws = draw(Augmentation(), images(), seed=0, epoch=0)

    assert draws is None
    assert [*augment_batches(iter(batches), draws, 0)] == batches


def test_draws_are_as_frequent_and_as_large_as_the_recipe_says() -> None:
    many = torch.zeros(20_000, 1, 28, 28)
    draws = drawn(Augmentation(flip=True, shift=2, erase=0.25), many)

    erased = draws.boxes[draws.boxes[:, 2] > 0]
    areas = (erased[:, 2] * erased[:, 3]) / 28**2

    assert float(draws.flipped.double().mean()) == pytest.approx(0.5, abs=0.02)
    for shift in range(-2, 3):
        assert float((draws.shifts == shift).double().mean()) == pytest.approx(0.2, abs=0.02)
    assert len(erased) / len(many) == pytest.approx(0.25, abs=0.02)
    assert float(areas.mean()) == pytest.approx(0.175, abs=0.01)
    assert 0.01 < float(areas.min()) < float(areas.max()) < 0.37
    assert bool((erased[:, :2] >= 0).all())
    assert bool((erased[:, 0] + erased[:, 2] <= 28).all())
    assert bool((erased[:, 1] + erased[:, 3] <= 28).all())


def test_every_epoch_and_every_seed_draws_its_own_and_the_same_again() -> None:
    given = images()

    first, again = (drawn(ALL, given, seed=3, epoch=1) for _ in range(2))

    assert torch.equal(first.boxes, again.boxes)
    assert torch.equal(first.shifts, again.shifts)
    assert not torch.equal(first.shifts, drawn(ALL, given, seed=3, epoch=2).shifts)
    assert not torch.equal(first.shifts, drawn(ALL, given, seed=1, epoch=3).shifts)


def test_batches_go_on_in_the_middle_of_an_epoch() -> None:
    given = images()
    labels = torch.arange(len(given))
    draws = drawn(ALL, given)
    batches = [*zip(given.split(10), labels.split(10), strict=True)]

    whole = [*augment_batches(iter(batches), draws, 0)]
    rest = [*augment_batches(iter(batches[3:]), draws, 30)]

    assert torch.equal(torch.cat([batch for batch, _ in whole]), augment(given, draws))
    assert all(torch.equal(one[0], two[0]) for one, two in zip(whole[3:], rest, strict=True))
