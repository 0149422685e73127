"""A process computes in the precision that it was given, and PyTorch's settings are afterwards as they were."""

from typing import Any

import cpuinfo
import pytest
import torch

from fashionbench.devices.precision import CPU_BF16, arithmetic, computes_bf16, single_precision
from fashionbench.records.record import Precision

CUDA = torch.device("cuda")


def settings() -> list[str]:
    cudnn: Any = torch.backends.cudnn
    return [each.fp32_precision for each in (torch.backends.cuda.matmul, cudnn, cudnn.conv, cudnn.rnn)]


@pytest.mark.parametrize(("precision", "single"), [("fp32", "ieee"), ("bf16", "ieee"), ("tf32", "tf32")])
def test_single_precision_is_ieee_on_nvidias_devices_unless_tf32_is_asked_for(
    precision: Precision, single: str
) -> None:
    before = settings()

    with single_precision(CUDA, precision):
        inside = settings()

    assert inside == [single] * 4
    assert settings() == before


def test_the_settings_are_restored_after_an_error() -> None:
    before = settings()

    with pytest.raises(ValueError, match="broken"), single_precision(CUDA, "fp32"):
        raise ValueError("broken")

    assert settings() == before


def test_other_devices_leave_the_settings_alone() -> None:
    before = settings()

    with single_precision(torch.device("cpu"), "tf32"):
        assert settings() == before


def test_a_step_changes_no_setting() -> None:
    before = settings()

    with arithmetic(torch.device("cpu"), "bf16"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
        assert settings() == before

    assert product.dtype == torch.bfloat16


@pytest.mark.skipif(not hasattr(torch.cpu, "get_capabilities"), reason="this PyTorch does not know what a CPU can do")
@pytest.mark.parametrize(
    ("known", "computes"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"bf16": True, "neon": True}, True),
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({}, False),
    ],
)
def test_bf16_is_computed_where_the_cpu_has_instructions_for_it(
    known: dict[str, bool], computes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)

    assert computes_bf16(torch.device("cpu")) == computes


def test_pytorch_and_the_system_agree_on_the_instructions_of_this_cpu() -> None:
    flags = {*cpuinfo.get_cpu_info().get("flags", [])}
    if not flags or not hasattr(torch.cpu, "get_capabilities"):
        pytest.skip("one of the two does not say what this CPU can do")

    assert computes_bf16(torch.device("cpu")) == (not flags.isdisjoint(CPU_BF16))


@pytest.mark.parametrize("word", ["cuda:63", "xpu:63", "mps"])
def test_a_device_that_is_not_there_or_cannot_say_computes_no_bf16(word: str) -> None:
    assert not computes_bf16(torch.device(word))
