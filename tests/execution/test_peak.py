"""The peak is a rate of this device, in the precision that was asked for."""

from fashionbench.devices.device import Device
from fashionbench.execution.peak import measure_peak


def test_a_peak_has_three_rates_above_nothing() -> None:
    peak = measure_peak(Device(word="cpu", name="here"), size=64)

    assert 1e6 < peak.product_flops_per_second < 1e15
    assert 1e6 < peak.convolution_flops_per_second < 1e15
    assert 1e6 < peak.copy_bytes_per_second < 1e13
