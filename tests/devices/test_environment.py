"""The environment is told whole, without the host's name or a folder of the machine."""

import platform
import socket
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
import torch

from fashionbench.devices import environment
from fashionbench.devices.device import Device
from fashionbench.devices.environment import describe_environment

CPU = Device(word="cpu", name="Some CPU")


def test_versions_threads_and_command_are_recorded() -> None:
    told = describe_environment(CPU, "pytest bench/ --seeds 3")

    assert told.versions["torch"] == metadata.version("torch")
    assert told.versions["python"] == platform.python_version()
    assert told.threads == torch.get_num_threads()
    assert told.command == "pytest bench/ --seeds 3"
    assert (told.accelerator, told.driver) == (None, None)


def test_the_host_is_not_named() -> None:
    told = describe_environment(CPU, "pytest")

    assert socket.gethostname() not in told.model_dump_json() or len(socket.gethostname()) < 3


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("pytest bench/ --data=/home/jo/my-data", "pytest bench/ --data=my-data"),
        ("/usr/bin/pytest '/home/jo/a b/c'", "pytest 'a b/c'"),
        ("pytest bench/bench_training.py -k cpu", "pytest bench/bench_training.py -k cpu"),
        (r"fashionbench run --out C:\Users\jo\out", "fashionbench run --out out"),
        ("fashionbench report ../a/b.json", "fashionbench report ../a/b.json"),
    ],
)
def test_folders_of_the_machine_are_cut_from_the_command(typed: str, kept: str) -> None:
    assert describe_environment(CPU, typed).command == kept


def test_an_accelerator_is_named_with_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "driver_version", lambda _: "driver 555")

    told = describe_environment(Device(word="cuda", name="Some GPU"), "pytest")

    assert (told.accelerator, told.driver) == ("Some GPU", "driver 555")


def test_an_absent_accelerator_is_not_named() -> None:
    told = describe_environment(Device(word="cuda", name="", absence="not found"), "pytest")

    assert told.accelerator is None


def test_a_library_that_is_not_there_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_LIBRARIES", ("no-such-library",))

    assert describe_environment(CPU, "pytest").versions["no-such-library"] == "not installed"


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)  # noqa: S603, S607 - a test's own repository


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    module = tmp_path / "fashionbench" / "measure" / "environment.py"
    module.parent.mkdir(parents=True)
    module.write_text("")
    monkeypatch.setattr(environment, "__file__", str(module))
    environment.commit_of_checkout.cache_clear()
    return tmp_path


def test_commit_and_its_cleanness_are_told(checkout: Path) -> None:
    git(checkout, "init", "-q")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "x")

    commit, clean = environment.commit_of_checkout()
    (checkout / "fashionbench" / "measure" / "environment.py").write_text("changed")
    environment.commit_of_checkout.cache_clear()
    _, clean_after_change = environment.commit_of_checkout()

    assert commit is not None
    assert len(commit) == 40
    assert clean is True
    assert clean_after_change is False


def test_no_commit_is_told_for_an_installed_wheel(checkout: Path) -> None:
    assert not (checkout / ".git").exists()

    assert environment.commit_of_checkout() == (None, None)


def test_no_commit_is_told_before_the_first_one(checkout: Path) -> None:
    git(checkout, "init", "-q")

    assert environment.commit_of_checkout() == (None, None)
