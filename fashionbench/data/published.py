"""MNIST, KMNIST, EMNIST and CIFAR-10: found or downloaded, verified by MD5, and decoded without unpickling."""

import gzip
import hashlib
import io
import pickletools
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from torchvision import datasets
from torchvision.datasets.utils import download_url

from fashionbench.data.arrays import make_dataset
from fashionbench.data.dataset import Dataset
from fashionbench.data.fetch import short_timeout
from fashionbench.data.readers import IDX_NAMES, decode_idx
from fashionbench.errors import InputError, SetupError
from fashionbench.opening import open_regular

__all__ = ["NAMED", "Publication", "decode_batch", "load_published"]

Decoded = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images (N, channels, H, W) and labels (N,)."""

CIFAR_SHAPE: Final = (3, 32, 32)

CIFAR_CLASSES: Final = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)

LARGEST_ARCHIVE: Final = 1024**3
"""Twice EMNIST's."""

INTEGERS: Final = frozenset({"BININT", "BININT1", "BININT2"})

STRINGS: Final = frozenset({"BINSTRING", "SHORT_BINSTRING"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A data set whose archives torchvision knows: their names, addresses and digests."""

    title: str
    classes: tuple[str, ...]
    folder: str
    """Where torchvision keeps the archives, within the folder that it is given."""
    digests: Mapping[str, str]
    """MD5 of each archive, by its name."""
    mirrors: tuple[str, ...]
    """Addresses of the folder of the archives."""
    decode: Callable[[Mapping[str, BinaryIO]], tuple[Decoded, Decoded]]
    """Returns training and test images of the verified archives."""


def load_published(
    publication: Publication,
    root: Path,
    announce: Callable[[str], None],
    *,
    download: bool,
    fetch: Callable[..., None] = download_url,
) -> Dataset:
    """Read a data set from its archives, wherever torchvision put them, and download them first with ``download``.

    Args:
        publication: Which data set.
        root: A folder in torchvision's layout, or the one with the archives.
        announce: Called with a line about each download.
        download: Whether to download what is missing or damaged.
        fetch: Downloads an address into a folder, as torchvision's ``download_url``.

    Raises:
        InputError: The folder lacks an archive, or has another or damaged one.
        SetupError: No mirror has the archive.

    """
    folder = root / publication.folder
    if download:
        for name in publication.digests:
            _download(publication, name, folder, announce, fetch)
    elif not (folder / next(iter(publication.digests))).exists():
        folder = root
    with ExitStack() as opened:
        streams = {
            name: opened.enter_context(_open_verified(publication, folder / name, digest))
            for name, digest in publication.digests.items()
        }
        train, test = publication.decode(streams)
    return make_dataset(publication.title, "torchvision's archives, verified by MD5", publication.classes, train, test)


def _download(
    publication: Publication, name: str, folder: Path, announce: Callable[[str], None], fetch: Callable[..., None]
) -> None:
    with suppress(OSError), open_regular(folder / name, LARGEST_ARCHIVE) as stream:  # it may not be there yet
        if _digest(stream) == publication.digests[name]:
            return
    failures = []
    for mirror in publication.mirrors:
        announce(f"Downloading {name} of {publication.title} from {mirror}")
        try:
            with short_timeout():
                fetch(f"{mirror}{name}", folder, filename=name, md5=publication.digests[name])
        except (OSError, RuntimeError) as error:
            failures.append(f"{mirror}: {' '.join(str(error).split())[:100]}")
        else:
            return
    raise SetupError(
        f"no {publication.title} found ({'; '.join(failures)})",
        expected="one of these mirrors to have it",
        remedy="check the network, or give a folder with the archives with --data PATH",
    )


def _open_verified(publication: Publication, path: Path, digest: str) -> BinaryIO:
    try:
        stream = open_regular(path, LARGEST_ARCHIVE)
    except OSError as error:
        unpacked = ": its archive is needed, not the unpacked files" if path.with_suffix("").exists() else ""
        raise InputError(
            f"folder {path.parent} does not contain {path.name} ({error.strerror}{unpacked})",
            expected=f"{', '.join(publication.digests)}, whose digests are known",
            remedy=f"check the path, or leave it out to have {publication.title} downloaded",
        ) from error
    found = _digest(stream)
    if found != digest:
        stream.close()
        raise InputError(
            f"{path} has MD5 {found}",
            expected=f"{digest}, that of {publication.title}; this is another data set or a damaged copy",
            remedy=f"leave out --data to have {publication.title} downloaded",
        )
    return stream


def _digest(stream: BinaryIO) -> str:
    """Return the MD5 of a file, which is then at its beginning again."""
    digest = hashlib.md5(usedforsecurity=False)  # the digest that torchvision states
    while block := stream.read(1024 * 1024):
        digest.update(block)
    stream.seek(0)
    return digest.hexdigest()


def _decode_idx_archives(streams: Mapping[str, BinaryIO]) -> tuple[Decoded, Decoded]:
    """Decode four gzipped IDX files: training images and labels, test images and labels."""
    arrays = [decode_idx(name, gzip.GzipFile(fileobj=stream).read()) for name, stream in streams.items()]
    images, labels = ([arrays[place] for place in places] for places in ((0, 2), (1, 3)))
    train, test = ((each[:, None], label.astype(np.int64)) for each, label in zip(images, labels, strict=True))
    return train, test


def _decode_emnist(streams: Mapping[str, BinaryIO]) -> tuple[Decoded, Decoded]:
    """Decode the balanced split of EMNIST's archive of all splits."""
    (stream,) = streams.values()
    with zipfile.ZipFile(stream) as archive:
        names = [f"gzip/emnist-balanced-{name.replace('t10k', 'test')}.gz" for name in IDX_NAMES]
        files = {name: io.BytesIO(archive.read(name)) for name in names}
    train, test = _decode_idx_archives(files)
    # its images are stored column by column: as they are, letters would lie on their side
    return (train[0].transpose(0, 1, 3, 2), train[1]), (test[0].transpose(0, 1, 3, 2), test[1])


def _decode_cifar(streams: Mapping[str, BinaryIO]) -> tuple[Decoded, Decoded]:
    (stream,) = streams.values()
    batches: dict[str, Decoded] = {}
    with tarfile.open(fileobj=stream, mode="r:gz") as archive:
        for member in archive:
            name = Path(member.name).name
            if name.startswith(("data_batch_", "test_batch")) and (file := archive.extractfile(member)) is not None:
                batches[name] = decode_batch(file.read())
    test = batches.pop("test_batch")
    train = [batches[name] for name in sorted(batches)]
    return (np.concatenate([images for images, _ in train]), np.concatenate([labels for _, labels in train])), test


def decode_batch(content: bytes) -> Decoded:
    """Return images (N, 3, 32, 32) and labels (N,) of a batch of CIFAR-10, a pickle of Python 2.

    Its instructions are read, not carried out: an unpickler would run whatever they say. The labels are the integers
    after the string "labels"; the pixels are the longest string, after the flag that says whether they are by columns.
    """
    labels: list[int] = []
    pixels, key, is_by_columns, pixels_are_by_columns = "", "", False, False
    for instruction, argument, _ in pickletools.genops(content):
        if instruction.name in STRINGS and isinstance(argument, str):
            if len(argument) > len(pixels):
                pixels, pixels_are_by_columns = argument, is_by_columns
            key = argument
        elif instruction.name in INTEGERS and isinstance(argument, int) and key == "labels":
            labels.append(argument)
        elif instruction.name in {"NEWTRUE", "NEWFALSE"}:
            is_by_columns = instruction.name == "NEWTRUE"
    values = np.frombuffer(pixels.encode("latin-1"), np.uint8)
    table = values.reshape((len(labels), -1), order="F" if pixels_are_by_columns else "C")
    return table.reshape(-1, *CIFAR_SHAPE), np.array(labels, np.int64)


NAMED: Final = MappingProxyType(
    {
        "mnist": Publication(
            title="MNIST",
            classes=tuple(datasets.MNIST.classes),
            folder="MNIST/raw",
            digests=dict(datasets.MNIST.resources),
            mirrors=tuple(datasets.MNIST.mirrors),
            decode=_decode_idx_archives,
        ),
        "kmnist": Publication(
            title="KMNIST",
            classes=tuple(datasets.KMNIST.classes),
            folder="KMNIST/raw",
            digests=dict(datasets.KMNIST.resources),
            mirrors=tuple(datasets.KMNIST.mirrors),
            decode=_decode_idx_archives,
        ),
        "emnist": Publication(
            title="EMNIST balanced",
            classes=tuple(datasets.EMNIST.classes_split_dict["balanced"]),
            folder="EMNIST/raw",
            digests={Path(datasets.EMNIST.url).name: datasets.EMNIST.md5},
            mirrors=(datasets.EMNIST.url.rpartition("/")[0] + "/",),
            decode=_decode_emnist,
        ),
        "cifar10": Publication(
            title="CIFAR-10",
            classes=CIFAR_CLASSES,
            folder=".",
            digests={datasets.CIFAR10.filename: datasets.CIFAR10.tgz_md5},
            mirrors=(datasets.CIFAR10.url.rpartition("/")[0] + "/",),
            decode=_decode_cifar,
        ),
    }
)
"""By the name that ``--dataset`` takes."""
