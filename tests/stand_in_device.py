"""A stand-in for an accelerator: a PyTorch backend whose work is done later, with memory and a random state of its own.

Its tensors wrap tensors of the CPU. What is called on them is computed at once, but counts as waiting until somebody
synchronises or reads a value. PyTorch knows one such backend a process, so there is one stand-in, which is there only
while a test attaches it.
"""

import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

__all__ = ["NAME", "StandIn", "attach"]

NAME = "standin"
READING = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default}  # torch's own name

MIXING = {torch.ops.aten.copy_.default, torch.ops.aten.index.Tensor}
"""What takes tensors of the device and of the CPU, as on a real device. Those without a dimension go anywhere."""


class Remote(torch.Tensor):
    """A tensor on the stand-in device."""

    local: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # as torch's documentation has it

    @staticmethod
    def __new__(cls: type[Self], inner: Tensor) -> Self:
        wrapper: Self = torch.Tensor._make_wrapper_subclass(  # the documented way to wrap a tensor
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )
        wrapper.local = inner
        return wrapper

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # as torch's documentation has it
        cls, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        with torch.inference_mode(mode=False), torch.no_grad():  # PyTorch's wrappers know no inference mode
            return stand_in().call(func, args, kwargs or {})

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Save it as torch.save saves a device's tensor that is loaded on the CPU."""
        stand_in().wait()
        return self.local.detach().__reduce_ex__(protocol)

    def __repr__(self) -> str:  # type: ignore[override]  # nobody prints its contents
        return f"Remote({tuple(self.shape)})"


class StandIn:
    """The module of the device, as ``torch.cuda`` is that of NVIDIA's, and the device itself."""

    def __init__(self) -> None:
        self.attached = False
        self.reset()

    def reset(self) -> None:
        self.seconds_per_call = 0.0
        self.capacity = 1 << 40
        """Bytes of memory."""
        self.waiting = 0
        """Calls that are not done yet."""
        self.reads = 0
        """How often the host has waited for a value."""
        self.asked = Counter[str]()
        """How often each function was called; only what does or needs something on the device counts."""
        self._generator = torch.Generator().manual_seed(0).get_state()
        self._storages = Counter[int]()
        self._bytes: dict[int, int] = {}
        self._peak = 0
        self._recording: Graph | None = None

    def call(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do what an operator does, on the tensors inside."""
        self.asked[str(func)] += 1
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        given = {id(each.local): each for each in tensors if isinstance(each, Remote)}
        if given and func not in MIXING and any(each.dim() for each in tensors if not isinstance(each, Remote)):
            raise RuntimeError(f"Expected all tensors to be on the same device, but found {NAME} and cpu")
        to_host = (
            func in READING
            or str(kwargs.get("device", NAME)).startswith("cpu")
            or (func is torch.ops.aten.copy_.default and not isinstance(args[0], Remote))
        )
        if to_host:
            self.reads += 1
            self.wait()
        inside, named = tree_map_only(Remote, lambda each: each.local, (args, kwargs))
        if "device" in named:
            named["device"] = torch.device("cpu")
        if self._recording is not None:
            self._recording.protect(func, inside)
        with self._own_generator(func):
            returned = func(*inside, **named)
        if to_host:
            return returned
        if self._recording is not None:
            self._recording.calls.append((func, inside, named, returned))
        self.waiting += 1
        return tree_map_only(Tensor, lambda each: given[id(each)] if id(each) in given else self.wrap(each), returned)

    def wrap(self, inner: Tensor) -> Remote:
        """Return a tensor of the device, within its memory."""
        self.asked["memory"] += 1
        storage = inner.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        allocated = sum(self._bytes.values())
        if size and place not in self._bytes:
            if allocated + size > self.capacity:
                raise torch.OutOfMemoryError(f"{NAME} out of memory. Tried to allocate {size} bytes\nand more")
            self._bytes[place] = size
            self._peak = max(self._peak, allocated + size)
        self._storages[place] += 1
        wrapper = Remote(inner)
        weakref.finalize(wrapper, self._release, place)
        return wrapper

    def _release(self, place: int) -> None:
        self._storages[place] -= 1
        if not self._storages[place]:
            self._bytes.pop(place, None)

    @contextmanager
    def _own_generator(self, func: Any) -> Iterator[None]:
        if torch.Tag.nondeterministic_seeded not in func.tags:
            yield
            return
        before = torch.get_rng_state()
        torch.set_rng_state(self._generator)
        yield
        self._generator = torch.get_rng_state()
        torch.set_rng_state(before)

    def wait(self) -> None:
        self.asked["wait"] += 1
        if self._recording is not None:
            raise RuntimeError("operation not permitted while work is recorded")
        waiting, self.waiting = self.waiting, 0
        time.sleep(waiting * self.seconds_per_call)

    # what torch and fashionbench/devices/runtime.py look for in a device's module

    def is_available(self) -> bool:
        return self.attached

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1  # as PyTorch asks once a process, at the first backward pass, for how many it needs threads

    def current_device(self) -> int:
        return 0

    def get_device_name(self, _: object) -> str:
        return "Stand-in"

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    def _is_in_bad_fork(self) -> bool:
        return False

    def synchronize(self, _: object) -> None:
        self.wait()

    def mem_get_info(self, _: object) -> tuple[int, int]:
        self.asked["memory"] += 1
        return self.capacity - sum(self._bytes.values()), self.capacity

    def max_memory_allocated(self, _: object) -> int:
        return self._peak

    def reset_peak_memory_stats(self, _: object) -> None:
        self._peak = sum(self._bytes.values())

    def manual_seed_all(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed).get_state()

    def get_rng_state(self, _: object = None) -> Tensor:
        self.asked["random state"] += 1
        return self._generator.clone()

    def set_rng_state(self, state: Tensor, _: object = None) -> None:
        self._generator = state.clone()

    def device(self, _: object) -> AbstractContextManager[None]:
        return nullcontext()

    def Stream(self, _: object) -> "StandIn":  # as torch.cuda spells it
        return self

    def current_stream(self, _: object) -> "StandIn":
        return self

    def wait_stream(self, _: object) -> None:
        """The device does one thing after another."""

    def stream(self, _: object) -> AbstractContextManager[None]:
        return nullcontext()

    def CUDAGraph(self) -> "Graph":  # as torch.cuda spells it
        return Graph(self)

    @contextmanager
    def graph(self, graph: "Graph") -> Iterator[None]:
        generator = self.get_rng_state()
        self._recording = graph
        try:
            yield
        finally:
            self._recording = None
            graph.undo()
            self.set_rng_state(generator)


class Graph:
    """Recorded work, as ``torch.cuda.CUDAGraph``: recording it does not do it."""

    def __init__(self, device: StandIn) -> None:
        self.calls: list[tuple[Callable[..., Any], Any, Any, Any]] = []
        self._device = device
        self._before: dict[int, tuple[Tensor, Tensor]] = {}

    def protect(self, func: Any, args: tuple[Any, ...]) -> None:
        """Remember what a call is about to change."""
        for argument, value in zip(func._schema.arguments, args, strict=False):  # the operator's only description
            if argument.alias_info is not None and argument.alias_info.is_write:
                for each in tree_leaves(value):
                    if isinstance(each, Tensor):
                        self._before.setdefault(id(each), (each, each.clone()))

    def undo(self) -> None:
        for changed, before in self._before.values():
            changed.copy_(before)

    def replay(self) -> None:
        for func, args, kwargs, returned in self.calls:
            with self._device._own_generator(func):  # its own
                again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(returned), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)
        self._device.waiting += 1


@cache
def stand_in() -> StandIn:
    """Return the stand-in, which PyTorch then knows for the rest of the process."""
    device = StandIn()
    _setup_privateuseone_for_python_backend(NAME, backend_module=device)

    def empty(size: Any, **options: Any) -> Tensor:
        return device.wrap(torch.empty(size, **_on_host(options)))

    def empty_strided(size: Any, stride: Any, **options: Any) -> Tensor:
        return device.wrap(torch.empty_strided(size, stride, **_on_host(options)))

    torch.library.impl("aten::empty.memory_format", "PrivateUse1")(empty)
    torch.library.impl("aten::empty_strided", "PrivateUse1")(empty_strided)
    return device


def _on_host(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in {"dtype", "memory_format"} and value is not None}


if not torch.accelerator.is_available():  # PyTorch uses one kind a process, and would no longer find the real one
    stand_in()  # before any backward pass of this process


@contextmanager
def attach() -> Iterator[StandIn]:
    """Let PyTorch find the stand-in, new, while the block runs."""
    device = stand_in()
    device.reset()
    device.attached = True
    try:
        yield device
    finally:
        device.attached = False
