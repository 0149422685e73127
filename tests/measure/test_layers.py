"""Layers written anew compute what PyTorch's own do."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fashionbench.measure import layers as layers_module
from fashionbench.measure.data import Dataset
from fashionbench.measure.execution import speed_up
from fashionbench.measure.layers import Dropout, NormedConvolution
from fashionbench.measure.models import build_model
from fashionbench.measure.rewriting import freeze_cancelled_biases, norm_by_patches, rewrite_dropout
from fashionbench.measure.training import scale_pixels


def pair(
    convolution: nn.Conv2d, momentum: float = 0.1, pool: nn.MaxPool2d | None = None
) -> tuple[nn.Sequential, NormedConvolution]:
    """Return the layers in a row, and the same in one; the norm's weights are as after a training."""
    norm = nn.BatchNorm2d(convolution.out_channels, eps=1e-3, momentum=momentum)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    plain = nn.Sequential(convolution, norm, *([] if pool is None else [pool]))
    return plain, NormedConvolution(*copy.deepcopy(plain))


def without_bias(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """As newer versions of torch make it when they are asked to."""
    norm.register_parameter("bias", None)
    return norm


@settings(max_examples=100, deadline=None)
@given(
    channels=st.tuples(st.integers(1, 3), st.integers(1, 5)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    bias=st.booleans(),
    momentum=st.sampled_from([0.0, 0.1, 1.0]),
    pool=st.sampled_from([None, nn.MaxPool2d(1), nn.MaxPool2d(2, ceil_mode=True, padding=1), nn.MaxPool2d(2, 1, 1)]),
)
def test_a_normed_convolution_has_the_outputs_gradients_and_statistics_of_its_layers(
    channels: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    bias: bool,  # noqa: FBT001 - drawn
    momentum: float,
    pool: nn.MaxPool2d | None,
) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(*channels, kernel, stride, padding, dilation, bias=bias).double()
    plain, fast = pair(convolution, momentum=momentum, pool=pool)
    plain, fast = plain.double(), fast.double()
    images = torch.rand(3, channels[0], 9, 8, dtype=torch.double)

    outputs = [model(images) for model in (plain, fast)]
    weights = torch.rand_like(outputs[0])
    for output in outputs:
        (output * weights).sum().backward()

    assert torch.allclose(*outputs)
    assert fast.convolution.bias is None or fast.convolution.bias.grad is None
    for mine, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        assert theirs.grad is not None
        found = torch.zeros_like(theirs) if mine.grad is None else mine.grad
        assert torch.allclose(found, theirs.grad, atol=1e-9)
    for statistics in zip(fast.buffers(), plain.buffers(), strict=True):
        assert torch.allclose(*statistics)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("brightness", [0.0, 100.0])
def test_sped_up_in_single_precision_it_is_nearly_as_exact_as_the_two(
    channels: int, stride: int, brightness: float
) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(channels, 32, 3, stride=stride, padding=1)
    with torch.no_grad():
        convolution.weight -= convolution.weight.mean((1, 2, 3), keepdim=True)  # such a kernel's outputs vary little
    model = nn.Sequential(convolution, nn.BatchNorm2d(32))
    images = brightness + torch.rand(20, channels, 12, 12)
    exact = copy.deepcopy(model).double()(images.double())
    theirs = (model(images) - exact).abs().max()

    fast = speed_up(model, (channels, 12, 12))
    mine = (fast(images) - exact).abs().max()

    assert isinstance(fast.get_submodule("0"), NormedConvolution)
    assert mine < 10 * theirs


def test_a_convolution_of_nothing_but_padding_takes_its_norm_in() -> None:
    plain, fast = pair(nn.Conv2d(2, 8, 2, stride=3, padding=(3, 4), dilation=2))
    images = torch.rand(2, 2, 6, 1)

    assert torch.allclose(speed_up(nn.Sequential(fast), (2, 6, 1))(images), plain(images), atol=1e-5)


@pytest.mark.parametrize("pool", [None, nn.MaxPool2d(2)])
def test_images_that_need_a_gradient_get_it(pool: nn.MaxPool2d | None) -> None:
    plain, fast = pair(nn.Conv2d(1, 4, 3), pool=pool)
    images = torch.rand(2, 1, 6, 6, requires_grad=True)

    expected, gradient = (torch.autograd.grad(model(images)[0].sum(), images)[0] for model in (plain, fast))

    assert torch.equal(gradient, expected)


def test_in_evaluation_the_running_statistics_count() -> None:
    plain, fast = pair(nn.Conv2d(1, 4, 3))
    images = torch.rand(2, 1, 6, 6)

    assert torch.equal(fast.eval()(images), plain.eval()(images))
    assert int(fast.norm.get_buffer("num_batches_tracked")) == 0


def test_a_norm_kept_in_evaluation_stays_in_it() -> None:
    plain, fast = pair(nn.Conv2d(1, 4, 3))
    plain[1].eval()
    fast.norm.eval()
    images = torch.rand(2, 1, 6, 6)

    assert torch.equal(fast(images), plain(images))


def test_a_single_image_meets_torchs_own_norm() -> None:
    _, fast = pair(nn.Conv2d(1, 4, 3))

    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        fast(torch.rand(1, 1, 3, 3))


def test_under_autocast_the_two_are_left_to_torch() -> None:
    plain, fast = pair(nn.Conv2d(1, 4, 3))
    images = torch.rand(2, 1, 6, 6)

    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fast(images), plain(images))


def test_fashioncnns_logits_in_single_precision_are_within_1e5_of_the_exact_ones(sample: Dataset) -> None:
    plain, fast = (build_model("fashioncnn", shape=(1, 28, 28), classes=10, seed=0) for _ in range(2))
    fast = speed_up(fast, (1, 28, 28))
    for model in (plain, fast):
        model.get_submodule("dropout").register_forward_hook(lambda _, given, __: given[0])
    images = scale_pixels(sample.train_images[:100])

    with torch.no_grad():
        exact, mine = plain.double()(images.double()), fast(images)

    assert float((mine - exact).abs().max() / exact.abs().max()) < 1e-5


def test_a_first_convolution_takes_its_norm_in() -> None:
    model = nn.Sequential(nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9), nn.ReLU(), nn.Conv2d(9, 99, 3), nn.BatchNorm2d(99))

    norm_by_patches(model)

    assert [type(layer) for layer in model] == [NormedConvolution, nn.Identity, nn.ReLU, nn.Conv2d, nn.BatchNorm2d]


def test_a_layer_with_a_hook_is_left_as_it_is() -> None:
    pool = nn.MaxPool2d(2)
    pool.register_full_backward_hook(lambda *_: None)
    model = nn.Sequential(nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9), nn.ReLU(), pool)

    fast = speed_up(model, (1, 6, 6))
    fast(torch.rand(2, 1, 6, 6)).sum().backward()

    assert fast.get_submodule("3") is pool
    assert type(fast.get_submodule("0")) is NormedConvolution


@pytest.mark.parametrize("size", [1, 6], ids=["a product", "a convolution"])
def test_a_frozen_kernel_stays_frozen(size: int) -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1))
    model[0].weight.requires_grad = False

    fast = speed_up(model, (2, size, size))

    assert [parameter.requires_grad for parameter in fast.parameters()] == [False, True]


def test_it_takes_a_maximum_in_that_comes_next() -> None:
    model = nn.Sequential(nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9), nn.MaxPool2d(2), nn.ReLU())

    norm_by_patches(model)

    assert [type(layer) for layer in model] == [NormedConvolution, nn.Identity, nn.Identity, nn.ReLU]


def test_a_maximum_that_returns_its_places_is_left_alone() -> None:
    model = nn.Sequential(nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9), nn.MaxPool2d(2, return_indices=True))

    norm_by_patches(model)

    assert [type(layer) for layer in model] == [NormedConvolution, nn.Identity, nn.MaxPool2d]


def test_a_bias_that_a_norm_takes_away_again_is_asked_for_no_gradient() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 3), nn.ReLU())

    freeze_cancelled_biases(model)

    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert frozen == ["0.bias"]


def test_the_variance_of_outputs_that_are_all_but_constant_is_exact() -> None:
    plain, fast = pair(nn.Conv2d(1, 16, 4, stride=4), momentum=1.0)
    images = torch.linspace(0, 1000, 16).view(4, 4).tile(8, 1, 3, 3) + 0.01 * torch.rand(8, 1, 12, 12)

    plain.double()(images.double())
    fast(images)

    exact = plain[1].get_buffer("running_var")
    assert torch.allclose(fast.norm.get_buffer("running_var").double(), exact, rtol=0.01)


def test_a_variance_that_rounding_leaves_below_zero_counts_as_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    _, fast = pair(nn.Conv2d(1, 4, 3))
    monkeypatch.setattr(layers_module, "_moments", lambda *_: (torch.zeros(9), -torch.eye(9), 100))

    assert bool(fast(torch.rand(2, 1, 6, 6)).isfinite().all())


@pytest.mark.parametrize("hook", ["forward", "forward_pre", "full_backward", "full_backward_pre"])
def test_no_layer_with_a_hook_is_rewritten(hook: str) -> None:
    layers: list[nn.Module] = [nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Flatten(), nn.Linear(36, 4), nn.Dropout(0.5)]
    model = nn.Sequential(*layers)
    for layer in layers:
        getattr(layer, f"register_{hook}_hook")(lambda *_: None)

    fast = speed_up(model, (1, 6, 6))
    fast(torch.rand(2, 1, 6, 6, requires_grad=True)).sum().backward()

    assert [*fast.children()] == layers
    assert all(parameter.requires_grad for parameter in fast.parameters())


def test_a_kernel_whose_gradient_someone_changes_is_kept() -> None:
    convolution = nn.Conv2d(2, 4, 3)
    convolution.weight.register_hook(torch.zeros_like)
    model = nn.Sequential(convolution)

    speed_up(model, (2, 6, 6))(torch.rand(2, 2, 6, 6)).sum().backward()

    assert model[0] is convolution
    assert convolution.weight.grad is not None
    assert not bool(convolution.weight.grad.any())


def test_a_bias_that_counts_is_trained() -> None:
    class Rectified(nn.Conv2d):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images).relu()

    shared = nn.Conv2d(3, 3, 3)
    model = nn.Sequential(
        *(shared, shared, nn.BatchNorm2d(3)),
        *(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3).eval()),
        *(Rectified(3, 3, 1), nn.BatchNorm2d(3)),
    )

    freeze_cancelled_biases(model)

    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("p", [0.25, 0.3])
@pytest.mark.parametrize("dtype", [torch.float, torch.double])
def test_dropout_leaves_out_each_number_with_its_probability(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    numbers = torch.ones(999, 501, dtype=dtype, requires_grad=True)

    output = Dropout(p)(numbers)
    output.sum().backward()

    assert set(output.unique().tolist()) == {0.0, torch.ones((), dtype=dtype).div(1 - p).item()}
    assert float((output == 0).double().mean()) == pytest.approx(p, abs=4 * (p * (1 - p) / output.numel()) ** 0.5)
    assert numbers.grad is not None
    assert torch.equal(numbers.grad, output)
    left_out = (output == 0).double().flatten()
    neighbours = float((left_out[1:] * left_out[:-1]).mean())  # two of them may come from one integer
    assert neighbours == pytest.approx(p**2, abs=0.002)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_dropout_of_nothing_or_all_is_torchs_own(p: float) -> None:
    numbers = torch.rand(4, 4)

    assert torch.equal(Dropout(p)(numbers), numbers * (1 - p))


def test_dropout_repeats_itself_under_one_seed_and_rests_in_evaluation() -> None:
    layer, numbers = Dropout(0.5), torch.rand(10, 10)
    outputs = []
    for _ in range(2):
        torch.manual_seed(3)
        outputs.append(layer(numbers))

    assert torch.equal(*outputs)
    assert not torch.equal(outputs[0], layer(numbers))
    assert torch.equal(layer.eval()(numbers), numbers)


def test_each_dropout_is_rewritten_in_the_mode_it_is_in() -> None:
    model = nn.Sequential(nn.Dropout(0.1), nn.Dropout(0.2).eval(), nn.Dropout(0.3, inplace=True), nn.Dropout2d(0.4))

    rewrite_dropout(model)

    assert [type(layer) for layer in model] == [Dropout, Dropout, nn.Dropout, nn.Dropout2d]
    assert [model[place].training for place in (0, 1)] == [True, False]
    assert [model[place].p for place in (0, 1)] == [0.1, 0.2]


@pytest.mark.parametrize(
    ("convolution", "norm"),
    [
        (nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8)),
        (nn.Conv2d(2, 9, 1), nn.BatchNorm2d(9, momentum=None)),
        (nn.Conv2d(2, 8, 1, groups=2), nn.BatchNorm2d(8)),
        (nn.Conv2d(1, 9, 3, padding="same"), nn.BatchNorm2d(9)),
        (nn.Conv2d(1, 9, 3, padding=1, padding_mode="circular"), nn.BatchNorm2d(9)),
        (nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9, affine=False)),
        (nn.Conv2d(1, 9, 3), without_bias(nn.BatchNorm2d(9))),
        (nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9).eval()),
        (nn.utils.spectral_norm(nn.Conv2d(1, 9, 3)), nn.BatchNorm2d(9)),
        (nn.Conv2d(1, 9, 3), nn.BatchNorm2d(9, track_running_stats=False)),
        (nn.Conv2d(1, 9, 3), nn.InstanceNorm2d(9)),
        (nn.ConvTranspose2d(1, 9, 3), nn.BatchNorm2d(9)),
    ],
    ids=[
        *("more taps than channels", "mean over all batches", "groups", "padding by name", "circular padding"),
        *("no weight", "no bias", "norm in evaluation", "hook on the kernel", "no running statistics"),
        *("another norm", "another convolution"),
    ],
)
def test_a_pair_that_would_gain_nothing_or_might_differ_stays_as_it_is(convolution: nn.Module, norm: nn.Module) -> None:
    model = nn.Sequential(convolution, norm)

    norm_by_patches(model)

    assert [*model] == [convolution, norm]
