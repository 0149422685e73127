"""Trained weights from a file: read, compared with a network, and loaded where they fit."""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fashionbench.errors import InputError, describe_error
from fashionbench.opening import is_file, require_no_larger

__all__ = ["Fitted", "digest_weights", "find_head", "fit_weights", "require_weights"]

SAFETENSORS: Final = ".safetensors"

ENDINGS: Final = (".pth", ".pt", ".bin", SAFETENSORS)

INSIDE: Final = ("state_dict", "model_state_dict", "model")
"""Where a training's checkpoint has the weights."""

PREFIXES: Final = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before every name."""

AUXILIARY: Final = ("aux1.", "aux2.", "AuxLogits.")
"""Heads of GoogLeNet and Inception that only help their training; the networks are built without them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """The weights of a file that a network takes."""

    taken: Mapping[str, Tensor]
    new: tuple[str, ...]
    """The names of the network's tensors that are not taken: of its first convolution and its head."""

    def describe(self, path: Path) -> str:
        """Return in one line what comes from the file and what does not."""
        new = f"; {', '.join(self.new)} drawn under the seed" if self.new else ""
        return f"{len(self.taken)} of {len(self.taken) + len(self.new)} tensors are from {path.name}{new}"


def require_weights(path: Path) -> None:
    """Require that a path is of a file of weights.

    Raises:
        InputError: It is not.

    """
    if path.suffix not in ENDINGS or not is_file(path):
        raise InputError(
            f"weights {path} are {'not there' if path.suffix in ENDINGS else 'not of a known kind'}",
            expected=f"a file whose name ends in {', '.join(ENDINGS)}",
            remedy="correct the path after @ in --models; nothing is downloaded",
        )


def digest_weights(path: Path) -> bytes:
    """Return the SHA-256 of a file of weights."""
    require_weights(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def find_head(model: nn.Module, classes: int) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Return a network's head, with its name: the last layer whose outputs are as many as the classes.

    Raises:
        InputError: There is none.

    """
    heads = [
        (name, part)
        for name, part in model.named_modules()
        if (isinstance(part, nn.Linear) and part.out_features == classes)
        or (isinstance(part, nn.Conv2d) and part.out_channels == classes)
    ]
    if not heads:
        raise InputError(
            f"no layer of the network has {classes} outputs",
            expected="a linear layer or a convolution as its head, with one output for each class",
            remedy="correct the model, or leave out its weights and freeze",
        )
    return heads[-1]


def fit_weights(model: nn.Module, path: Path, classes: int) -> Fitted:
    """Return the weights of a file that a network takes.

    The first convolution is not taken where it is for another number of channels, nor the head where it is for another
    number of classes: as in the study, such a layer is a new one.

    Args:
        model: The network, for the channels and the classes of a task.
        path: A file of weights only.
        classes: The number of classes.

    Raises:
        InputError: The file cannot be read, or is of another network.

    """
    own, given = model.state_dict(), _read(path)
    given = {name: value for name, value in given.items() if name in own or not name.startswith(AUXILIARY)}
    convolutions = [name for name, part in model.named_modules() if isinstance(part, nn.Conv2d)][:1]
    layers = [*((each, 1) for each in convolutions), (find_head(model, classes)[0], 0)]
    unlike = [layer for layer, axis in layers if _differs_only_in(axis, own, given, f"{layer}.weight")]
    new = tuple(name for name in own if name.rpartition(".")[0] in unlike)
    wrong = [
        name
        for name in {**own, **given}
        if name not in new and not name.endswith("num_batches_tracked") and _size(own, name) != _size(given, name)
    ]
    if wrong:
        raise InputError(
            f"weights {path} do not fit the network: its {wrong[0]} is {_size(own, wrong[0])}, the file's is "
            f"{_size(given, wrong[0])}" + (f", and {len(wrong) - 1:,} others differ" if wrong[1:] else ""),
            expected="weights of that very network; only its first convolution and its last layer may differ",
            remedy="correct the name before @ in --models, or the path after it",
        )
    return Fitted(taken={name: given[name] for name in given if name in own and name not in new}, new=new)


def _differs_only_in(axis: int, own: Mapping[str, Tensor], given: Mapping[str, Tensor], name: str) -> bool:
    if name not in given or given[name].ndim != own[name].ndim:
        return False
    return [
        place for place, (one, two) in enumerate(zip(own[name].shape, given[name].shape, strict=True)) if one != two
    ] == [axis]


def _size(tensors: Mapping[str, Tensor], name: str) -> str:
    return " x ".join(map(str, tensors[name].shape)) or "a number" if name in tensors else "missing"


def _read(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file by name; nothing but tensors and plain values is unpickled."""
    require_weights(path)
    try:
        found: Any = load_file(path) if path.suffix == SAFETENSORS else _unpickle(path)
    except Exception as error:
        raise InputError(
            f"weights {path} cannot be read ({describe_error(error)})",
            expected="tensors only, as torch.save(model.state_dict(), path) or safetensors write them",
            remedy="save the state_dict of the model, not the model",
        ) from error
    for key in INSIDE:
        found = found[key] if isinstance(found, Mapping) and isinstance(found.get(key), Mapping) else found
    if not isinstance(found, Mapping) or not any(isinstance(value, Tensor) for value in found.values()):
        raise InputError(
            f"weights {path} contain no tensors by name",
            expected="what torch.save(model.state_dict(), path) writes",
            remedy="save the state_dict of the model",
        )
    tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _unpickle(path: Path) -> object:
    if zipfile.is_zipfile(path):
        with path.open("rb") as file:
            require_no_larger(file, path.stat().st_size)
    return torch.load(path, map_location="cpu", weights_only=True)
