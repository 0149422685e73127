"""Devices are found, named and synchronised; one that is absent is reported as absent."""

import mmap
import sys

import pytest
import torch

from fashionbench.devices.device import Device, list_devices, name_devices, select_devices
from fashionbench.devices.runtime import driver_version, peak_device_bytes, peak_host_bytes, reset_peaks, synchronize
from fashionbench.options.parsing import EVERY_DEVICE

CPU = torch.device("cpu")


def test_the_cpu_is_always_present_and_named() -> None:
    first = list_devices()[0]

    assert first.word == "cpu"
    assert first.name
    assert first.absence == ""


def test_all_means_each_device_that_is_present() -> None:
    assert select_devices(EVERY_DEVICE) == list_devices()


def test_devices_that_share_a_name_are_labelled_by_what_differs() -> None:
    one = Device(word="cpu", name="One", threads=2, host="One")
    wide = Device(word="cpu", name="One", threads=8, host="One")
    gpus = [Device(word="cuda", name=name, threads=0, host="One") for name in ("A", "B")]

    assert [*name_devices([one, *gpus]).values()] == ["cpu", "cuda (A)", "cuda (B)"]
    assert [*name_devices([one, wide, gpus[0]]).values()] == ["cpu (2 threads)", "cpu (8 threads)", "cuda"]
    other = Device(word="cpu", name="Two", threads=2, host="Two")
    assert [*name_devices([one, other]).values()] == ["cpu (One)", "cpu (Two)"]
    newer = Device(word="cpu", name="One", threads=2, host="One", bf16=True)
    assert newer != one  # so that a cluster does not take them for each other
    assert [*name_devices([one, newer]).values()] == ["cpu (no bf16)", "cpu (bf16)"]
    elsewhere = Device(word="cuda", name="A", threads=0, host="Two")
    assert [*name_devices([gpus[0], elsewhere]).values()] == ["cuda (on One)", "cuda (on Two)"]


@pytest.mark.parametrize("word", ["cuda:97", "xpu:97", "mps" if not torch.backends.mps.is_available() else "cuda:98"])
def test_a_device_that_is_not_found_is_absent(word: str) -> None:
    (device,) = select_devices((word,))

    assert device.word == word
    assert device.name == ""
    assert "not found by torch" in device.absence
    assert "found: cpu" in device.absence


def test_the_cpu_needs_no_waiting_and_has_no_driver() -> None:
    synchronize(CPU)

    assert driver_version(CPU) is None


@pytest.mark.parametrize("word", ["cpu", "mps"])
def test_device_memory_is_counted_only_where_pytorch_counts_its_peak(word: str) -> None:
    assert peak_device_bytes(torch.device(word)) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process can be reset on Linux only")
def test_peak_memory_is_reset_and_counts_an_allocation() -> None:
    reset_peaks(CPU)
    before = peak_host_bytes()

    with mmap.mmap(-1, 64 * 1024**2) as block:  # new pages, where an allocator might hand out kept ones
        block.write(b"x" * len(block))
        after = peak_host_bytes()

    assert after - before > 48 * 1024**2


def test_equal_gpus_are_one_device_and_unlike_ones_are_several() -> None:
    accelerators = {"cuda": "Big", "cuda:1": "Big", "cuda:2": "Small"}

    found = list_devices(accelerators)

    assert [(device.word, device.name, device.threads) for device in found[1:]] == [
        ("cuda", "Big", 0),
        ("cuda:2", "Small", 0),
    ]
    assert select_devices(EVERY_DEVICE, accelerators) == found
    assert [device.name for device in select_devices(("cuda:2", "cpu"), accelerators)] == ["Small", found[0].name]
    assert select_devices(("cuda:3",), accelerators)[0].absence.endswith("(found: cpu, cuda, cuda:2)")
    assert select_devices(("mps",), accelerators)[0].absence


@pytest.mark.parametrize(
    ("program", "expected"),
    [("#!/bin/sh\necho 555.42\n", "driver 555.42, CUDA "), ("#!/bin/sh\nexit 9\n", "CUDA "), (None, "CUDA ")],
    ids=["found", "failing", "missing"],
)
def test_nvidias_driver_is_named_where_its_program_prints_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, program: str | None, expected: str
) -> None:
    folder = tmp_path_factory.mktemp("programs")
    if program is not None:
        (folder / "nvidia-smi").write_text(program)
        (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))

    assert str(driver_version(torch.device("cuda"))).startswith(expected)


def test_amds_driver_is_named_hip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", "6.4")

    assert driver_version(torch.device("cuda")) == "HIP 6.4"


def test_a_process_has_a_peak_of_memory_on_every_system() -> None:
    assert peak_host_bytes() > 16 * 1024**2  # an interpreter that has loaded PyTorch


def test_apples_gpu_is_waited_for_without_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = list[tuple[object, ...]]()
    monkeypatch.setattr(torch.mps, "synchronize", lambda *given: waited.append(given))

    synchronize(torch.device("mps"))

    assert waited == [()]
