"""Readers of files of unknown origin that need torch: images, tables and arrays of one's own, checkpoints, weights."""

import gzip
import hashlib
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from hostile import Reader, changed, changes, mutate
from PIL import ExifTags, Image
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.lr_scheduler import StepLR

from fashionbench.data.load import load_dataset
from fashionbench.errors import InputError
from fashionbench.models.sources.weights import fit_weights
from fashionbench.training.checkpoint import Checkpoints
from fashionbench.training.ingredients.state import State

OWN_CSV = ("label,p0,p1,p2,p3\n" + "\n".join(f"{row % 2},1,2,{row},255" for row in range(20))).encode()
EPOCHS, STEPS = 3, 4
STREAM = io.BytesIO()
np.savez_compressed(
    STREAM,
    x_train=np.arange(16, dtype=np.uint8).reshape(4, 2, 2),
    y_train=np.array([0, 1, 0, 1]),
    x_test=np.zeros((2, 2, 2), np.uint8),
    y_test=np.array([0, 1]),
)
NPZ = STREAM.getvalue()


def draw_pictures() -> tuple[bytes, ...]:
    """Return a small image in each format, and in the kinds of each that are decoded by code of their own."""
    grey = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4)
    colour = Image.merge("RGB", [grey, grey.rotate(90), grey.rotate(180)])
    with_alpha = Image.merge("LA", [grey, grey.rotate(90)])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    kinds: list[tuple[str, Image.Image, dict[str, Any]]] = [
        *(("PNG", image, {}) for image in (grey, colour, with_alpha, colour.quantize(16), grey.convert("1"))),
        *(("JPEG", image, {"exif": exif}) for image in (grey, colour, colour.convert("CMYK"))),
        *(("JPEG", colour, {"progressive": True}), ("BMP", grey, {}), ("BMP", colour, {}), ("PPM", colour, {})),
        *(("TIFF", colour, {"compression": each}) for each in (None, "tiff_lzw", "jpeg", "tiff_adobe_deflate")),
        *(("TIFF", grey.convert("1"), {"compression": each}) for each in ("group3", "group4", "packbits")),
        *(("WEBP", colour, {"lossless": each}) for each in (True, False)),
    ]
    found = []
    for kind, image, how in kinds:
        stream = io.BytesIO()
        image.save(stream, kind, **how)
        found.append(stream.getvalue())
    return tuple(found)


PICTURES = draw_pictures()


def zipped(names: Iterable[str]) -> bytes:
    """Return a small archive of large parts, which begin as an array does whose header never ends."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in names:
            archive.writestr(name, b"\x93NUMPY\x02\x00\x00\x00\x00\x04" + bytes(2**26))
    return stream.getvalue()


def saved(content: object) -> bytes:
    """Return what torch.save writes."""
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def new_state() -> State:
    """Return a small training before its first step."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return State(
        model=model,
        optimizer=optimizer,
        schedule=StepLR(optimizer, STEPS),
        generator=torch.Generator().manual_seed(0),
        epochs=EPOCHS,
        steps=STEPS,
    )


def go_on(state: State, steps: int) -> None:
    """Train, as the training loop does."""
    for _ in range(steps):
        loss = state.model(torch.ones(2, 3)).square().sum()
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
        state.schedule.step()
        state.step_losses.append(loss.detach())
        if len(state.step_losses) == STEPS:
            state.epoch_seconds.append(0.5)
            state.others_cpu_share.append(None)
            state.validations.append((1.0, 0.5))
            state.end_epoch(torch.stack(state.step_losses))


def sealed(content: bytes) -> bytes:
    """Return a checkpoint's file with a right digest."""
    return hashlib.sha256(content).digest() + content


def half_trained() -> bytes:
    """Return the checkpoint of a training in its second epoch."""
    state = new_state()
    go_on(state, STEPS + 2)
    return sealed(state.dump())


def change_tensors(part: Any) -> list[Any]:
    """Return what may stand in the place of a part of a checkpoint."""
    if not isinstance(part, Tensor):
        return [*changes(part), torch.zeros(3)]
    wider = part[..., None]
    return [
        *changes(None),
        *(
            part[:0] if part.ndim else wider,
            wider,
            torch.cat([wider.flatten()] * 2),
            part.double(),
            part.to(torch.int8),
        ),
        *(torch.full(part.shape, value) for value in (float("nan"), float("inf"), -1.0)),
        *(part.to_sparse() if part.ndim else part, part.expand(7, *part.shape), part.to(torch.complex64)),
    ]


def spoil_checkpoint(random: Random, whole: bytes) -> bytes:
    """Change a place of a checkpoint, or damage its archive, and seal it again."""
    if random.random() < 1 / 2:
        return sealed(mutate(random, whole[32:]))
    content = torch.load(io.BytesIO(whole[32:]), weights_only=True)
    return sealed(saved(changed(random, content, change_tensors)))


def read_checkpoint(path: Path) -> None:
    """Restore a training, and go on with it to its end; the right checkpoint before is not there."""
    said: list[str] = []
    state = new_state()
    torch.manual_seed(0)
    expected = state.dump()
    if Checkpoints(path, stop=lambda: False, warn=said.append).restore(state):
        go_on(state, (EPOCHS - state.epoch) * STEPS - len(state.step_losses))
        if len(torch.cat(state.losses)) != EPOCHS * STEPS or not torch.cat(state.losses).isfinite().all():
            raise AssertionError("the restored training has another end")
        return
    if len(said) != 1 or not said[0].startswith("A checkpoint "):
        raise AssertionError(f"a checkpoint is passed over without one line: {said}")
    if state.dump() != expected:
        raise AssertionError("a checkpoint that is passed over leaves something behind")
    raise InputError(said[0], expected="a checkpoint of this training", remedy="nothing: it is passed over")


def read_weights(path: Path) -> None:
    """Compare a file of weights with a network."""
    fit_weights(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), path, classes=2)


def read_own(path: Path) -> None:
    """Read a file of one's own images."""
    load_dataset(str(path), None, environ={}, cache=path.parent / "cache", announce=lambda _: None)


def read_folder(path: Path) -> None:
    """Read a folder with that file among others."""
    root = path.parents[1]
    for place in range(10):
        other = root / "ab"[place % 2] / f"{place}.png"
        other.parent.mkdir(parents=True, exist_ok=True)
        if not other.exists():
            other.write_bytes(PICTURES[place % 3])
    read_own(root)


WEIGHTS = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).state_dict()
READERS = MappingProxyType(
    {
        "npz": Reader(
            name="own.npz",
            whole=(NPZ,),
            read=read_own,
            inputs=8_000,
            bombs=lambda: (zipped(f"{name}.npy" for name in ("x_train", "y_train", "x_test", "y_test")),),
        ),
        "csv": Reader(
            name="own.csv",
            whole=(OWN_CSV,),
            read=read_own,
            inputs=8_000,
            bombs=lambda: (
                gzip.compress(OWN_CSV) + 300 * gzip.compress(b"\n0,1,2,3,4" * 100_000),
                b"label," + b"p," * 20_000_000,
            ),
        ),
        "image": Reader(
            name="own/a/hostile.png",
            whole=PICTURES,
            read=read_folder,
            inputs=12_000,
        ),
        "checkpoint": Reader(
            name="case.pt",
            whole=(half_trained(),),
            read=read_checkpoint,
            inputs=6_000,
            spoil=spoil_checkpoint,
            bombs=lambda: (sealed(zipped(f"archive/data/{place}" for place in range(4))),),
        ),
        "weights": Reader(
            name="net.pth",
            whole=(saved(WEIGHTS), saved({"state_dict": WEIGHTS})),
            read=read_weights,
            inputs=6_000,
            bombs=lambda: (zipped(f"archive/data/{place}" for place in range(4)),),
        ),
        "safetensors": Reader(name="net.safetensors", whole=(save(WEIGHTS),), read=read_weights, inputs=6_000),
    }
)
