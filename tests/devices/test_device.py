"""Devices are found, named and synchronised through one module; what is not there is said, not guessed."""

import mmap
import platform
import sys

import psutil
import pytest
import torch

from fashionbench.devices.device import Device, list_devices, name_devices, select_devices
from fashionbench.devices.runtime import driver_version, peak_device_bytes, peak_host_bytes, reset_peaks, synchronize
from fashionbench.errors import InputError

CPU = torch.device("cpu")
ACCELERATED = torch.accelerator.is_available()


def test_the_cpu_is_always_there_and_named() -> None:
    first = list_devices()[0]

    assert first.word == "cpu"
    assert first.name
    assert first.absence == ""


def test_all_means_each_device_there_is() -> None:
    assert select_devices("all") == list_devices()


def test_a_device_named_twice_is_taken_once() -> None:
    assert [device.word for device in select_devices("cpu, cpu")] == ["cpu"]


def test_devices_that_share_a_word_are_named_by_what_tells_them_apart() -> None:
    one = Device(word="cpu", name="One", threads=2, host="One")
    wide = Device(word="cpu", name="One", threads=8, host="One")
    gpus = [Device(word="cuda", name=name, threads=0, host="One") for name in ("A", "B")]

    assert [*name_devices([one, *gpus]).values()] == ["cpu", "cuda (A)", "cuda (B)"]
    assert [*name_devices([one, wide, gpus[0]]).values()] == ["cpu (2 threads)", "cpu (8 threads)", "cuda"]
    other = Device(word="cpu", name="Two", threads=2, host="Two")
    assert [*name_devices([one, other]).values()] == ["cpu (One)", "cpu (Two)"]
    elsewhere = Device(word="cuda", name="A", threads=0, host="Two")
    assert [*name_devices([gpus[0], elsewhere]).values()] == ["cuda (on One)", "cuda (on Two)"]


@pytest.mark.parametrize("word", ["cuda:97", "xpu:97", "mps" if not torch.backends.mps.is_available() else "cuda:98"])
def test_a_device_that_is_not_there_comes_back_as_absent(word: str) -> None:
    (device,) = select_devices(word)

    assert device.word == word
    assert device.name == ""
    assert "not found by torch" in device.absence
    assert "found: cpu" in device.absence


@pytest.mark.parametrize("word", ["gpu", "", "cuda:", "cpu:0", "cuda:one", "tpu"])
def test_a_word_that_is_no_device_is_refused(word: str) -> None:
    with pytest.raises(InputError, match=rf"Unknown device '{word}'\. Expected cpu, cuda, cuda:N, mps, xpu"):
        select_devices(word)


def test_the_cpu_needs_no_waiting_has_no_driver_and_no_memory_of_its_own() -> None:
    synchronize(CPU)

    assert driver_version(CPU) is None
    assert peak_device_bytes(CPU) is None


def test_peak_memory_starts_anew_and_sees_an_allocation() -> None:
    reset_peaks(CPU)
    before = peak_host_bytes()

    with mmap.mmap(-1, 64 * 1024**2) as block:  # new pages, where an allocator might hand out kept ones
        block.write(b"x" * len(block))
        after = peak_host_bytes()

    assert after - before > 48 * 1024**2


class FakeAccelerator:
    """Stands for torch.accelerator on a machine with several GPUs, which a test machine seldom is."""

    def __init__(self, kind: str, count: int) -> None:
        self.kind, self.count = kind, count
        self.waited: list[torch.device] = []

    def current_accelerator(self, *, check_available: bool) -> torch.device:
        assert check_available
        return torch.device(self.kind)

    def device_count(self) -> int:
        return self.count

    def synchronize(self, device: torch.device) -> None:
        self.waited.append(device)

    def max_memory_allocated(self, _: torch.device) -> int:
        return 123

    def reset_peak_memory_stats(self, device: torch.device) -> None:
        self.waited.append(device)


def test_equal_gpus_are_one_device_and_unlike_ones_are_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "accelerator", FakeAccelerator("cuda", 3))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Small" if device.index == 2 else "Big")

    found = list_devices()

    assert [(device.word, device.name) for device in found[1:]] == [("cuda", "Big"), ("cuda:2", "Small")]
    assert [device.word for device in select_devices("cuda:0,cuda:1")] == ["cuda", "cuda:1"]
    assert select_devices("cuda:3")[0].absence
    assert select_devices("mps")[0].absence


@pytest.mark.parametrize(("kind", "counted"), [("cuda", 123), ("xpu", 123), ("mps", None)])
def test_accelerators_are_waited_for_and_counted_whatever_their_kind(
    monkeypatch: pytest.MonkeyPatch, kind: str, counted: int | None
) -> None:
    accelerator = FakeAccelerator(kind, 1)
    monkeypatch.setattr(torch, "accelerator", accelerator)
    device = torch.device(kind)

    synchronize(device)
    waited = list(accelerator.waited)
    reset_peaks(device)

    assert waited == [device]
    assert peak_device_bytes(device) == counted


def test_names_and_drivers_come_from_each_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        driver_version = "1.6"

    monkeypatch.setattr(torch, "accelerator", FakeAccelerator("xpu", 1))
    monkeypatch.setattr(torch.xpu, "get_device_name", lambda _: "Arc")
    monkeypatch.setattr(torch.xpu, "get_device_properties", lambda _: Properties)
    monkeypatch.setattr(platform, "mac_ver", lambda: ("15.1", ("", "", ""), "arm64"))

    assert list_devices()[1].name == "Arc"
    assert driver_version(torch.device("xpu")) == "1.6"
    assert driver_version(torch.device("mps")) == "macOS 15.1"
    monkeypatch.setattr(torch, "accelerator", FakeAccelerator("mps", 1))
    assert list_devices()[1].name.endswith(" GPU")


@pytest.mark.parametrize(
    ("program", "expected"),
    [("#!/bin/sh\necho 555.42\n", "driver 555.42, CUDA "), ("#!/bin/sh\nexit 9\n", "CUDA "), (None, "CUDA ")],
    ids=["told", "failing", "missing"],
)
def test_nvidias_driver_is_told_where_its_program_tells_it(
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


@pytest.mark.parametrize(("system", "scale"), [("win32", 7), ("darwin", None)])
def test_peak_memory_of_other_systems_comes_from_their_own_counts(
    monkeypatch: pytest.MonkeyPatch, system: str, scale: int | None
) -> None:
    class Memory:
        peak_wset = 7

    class Process:
        def memory_info(self) -> type[Memory]:
            return Memory

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(psutil, "Process", Process)

    reset_peaks(CPU)
    peak = peak_host_bytes()

    assert peak == scale if scale else peak > 0


@pytest.mark.gpu
@pytest.mark.skipif(not ACCELERATED, reason="needs an accelerator; torch finds none here")
def test_a_real_accelerator_is_listed_waited_for_and_counted() -> None:
    found = list_devices()[1]
    device = torch.device(found.word)
    reset_peaks(device)

    block = torch.ones(1024**2, device=device)
    synchronize(device)

    assert found.name
    assert driver_version(device)
    counted = peak_device_bytes(device)
    assert counted is None or counted >= block.numel() * 4
