"""A block computes in the precision that it was given."""

import pytest
import torch

from fashionbench.devices.precision import arithmetic
from fashionbench.records.record import Precision


@pytest.mark.parametrize(("precision", "single"), [("fp32", "ieee"), ("tf32", "tf32")])
def test_single_precision_is_ieee_on_nvidias_devices_unless_tf32_is_asked_for(
    precision: Precision, single: str
) -> None:
    before = torch.backends.cudnn.fp32_precision, torch.backends.cuda.matmul.fp32_precision

    with arithmetic(torch.device("cuda"), precision):
        inside = torch.backends.cudnn.fp32_precision, torch.backends.cuda.matmul.fp32_precision
    torch.backends.cudnn.fp32_precision, torch.backends.cuda.matmul.fp32_precision = before

    assert inside == (single, single)
