"""The environment is recorded without the host's name or a folder of the machine."""

import platform
import socket
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
import torch

from fashionbench.devices.device import Device
from fashionbench.devices.environment import commit_of_checkout, describe_environment, library_versions
from fashionbench.devices.runtime import driver_version

CPU = Device(word="cpu", name="Some CPU")


def test_versions_threads_and_command_are_recorded() -> None:
    found = describe_environment(CPU, "pytest bench/ --seeds 3")

    assert found.versions["torch"] == metadata.version("torch")
    assert found.versions["python"] == platform.python_version()
    assert found.threads == torch.get_num_threads()
    assert found.command == "pytest bench/ --seeds 3"
    assert (found.accelerator, found.driver) == (None, None)


def test_the_host_is_not_named() -> None:
    found = describe_environment(CPU, "pytest")

    assert socket.gethostname() not in found.model_dump_json() or len(socket.gethostname()) < 3


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


def test_an_accelerator_is_named_with_its_driver() -> None:
    found = describe_environment(Device(word="cuda", name="Some GPU"), "pytest")

    assert found.accelerator == "Some GPU"
    assert found.driver == driver_version(torch.device("cuda"))


def test_an_absent_accelerator_is_not_named() -> None:
    found = describe_environment(Device(word="cuda", name="", absence="not found"), "pytest")

    assert found.accelerator is None


def test_a_library_that_is_not_installed_is_reported() -> None:
    assert library_versions(["no-such-library"]) == {"no-such-library": "not installed"}


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_commit_and_whether_its_files_are_unchanged_are_recorded(tmp_path: Path) -> None:
    tracked = tmp_path / "module.py"
    tracked.write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")

    commit, clean = commit_of_checkout(tmp_path)
    tracked.write_text("changed")
    commit_of_checkout.cache_clear()
    _, clean_after_change = commit_of_checkout(tmp_path)

    assert commit is not None
    assert len(commit) == 40
    assert clean is True
    assert clean_after_change is False


def test_an_installed_wheel_has_no_commit(tmp_path: Path) -> None:
    assert commit_of_checkout(tmp_path) == (None, None)


def test_a_checkout_has_no_commit_before_the_first_one(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")

    assert commit_of_checkout(tmp_path) == (None, None)
