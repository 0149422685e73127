"""How data flow through a network, as far as that is true of every pass."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node, Proxy, Tracer
from torch.fx.proxy import TraceError
from torch.nn.modules.batchnorm import _NormBase
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from fashionbench.models.analysis.modes import MODES, SCORING, TRAINING, Mode
from fashionbench.models.analysis.state import State
from fashionbench.models.analysis.taps import memory_of
from fashionbench.models.randomness import save_generators, seeded_generators

__all__ = ["Dataflow", "is_steady", "trace"]

_LOOKS = tuple(
    getattr(Tensor, name)
    for name in (
        *("__bool__", "__float__", "__index__", "__int__", "item"),
        *("__array__", "__dlpack__", "__format__", "__repr__", "numpy", "storage", "tolist", "untyped_storage"),
    )
)
"""What makes a value of Python of a tensor, or gives its content away, on which code can choose its way."""
_READS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
"""Of operations that make a number of Python, or a shape, of a tensor's content, on which code can choose its way."""
_DESCRIPTIONS = {"device", "dtype", "is_cuda", "layout", "ndim", "requires_grad", "shape"}
"""Attributes of a tensor that say nothing of its values."""


class Dataflow:
    """What a network does with its layers, in each mode alike.

    Args:
        graphs: Of one network, as torch.fx traced it in each mode.
        network: The network, whose layers and parameters are asked about.

    """

    def __init__(self, graphs: Mapping[Mode, Graph], network: nn.Module) -> None:
        self._graphs = tuple(graphs.values())
        self.evaluates_alike = len({str(graph) for mode, graph in graphs.items() if not mode.training}) == 1
        """Whether one graph is right for the evaluation in all modes."""
        self._names = dict(network.named_modules(remove_duplicate=False))
        self._parameters = dict(network.named_parameters(remove_duplicate=False))
        self._calls = [self._calls_of(graph) for graph in self._graphs]
        self._times_named = Counter(id(module) for module in self._names.values())
        owners = Counter(map(memory_of, self._parameters.values()))
        self._shared = {id(each) for each in self._parameters.values() if owners[memory_of(each)] > 1}
        self._read = {
            id(self._parameters[str(node.target)])
            for graph in self._graphs
            for node in graph.nodes
            if node.op == "get_attr" and str(node.target) in self._parameters
        }

    def _calls_of(self, graph: Graph) -> dict[int, list[Node]]:
        calls: dict[int, list[Node]] = {}
        for node in graph.nodes:
            if node.op == "call_module":
                calls.setdefault(id(self._names[str(node.target)]), []).append(node)
        return calls

    def is_only_called(self, layer: nn.Module) -> bool:
        """Say whether a layer has one name, is called, and its parameters are its own and read by nothing else."""
        return (
            self._times_named[id(layer)] == 1
            and all(id(layer) in calls for calls in self._calls)
            and not (self._read | self._shared) & {id(each) for each in layer.parameters()}
        )

    def is_called_once(self, layer: nn.Module) -> bool:
        """Say whether a layer is only called, and exactly once in a forward pass."""
        return self.is_only_called(layer) and all(len(calls[id(layer)]) == 1 for calls in self._calls)

    def feeds_only(self, layer: nn.Module, next_layer: nn.Module) -> bool:
        """Say whether both are called once, and a layer's output goes into the next one and nowhere else."""
        if not (self.is_called_once(layer) and self.is_called_once(next_layer)):
            return False
        for calls in self._calls:
            (node,), (following,) = calls[id(layer)], calls[id(next_layer)]
            if list(node.users) != [following] or list(following.args) != [node] or following.kwargs:
                return False
        return True

    def before_views(self) -> set[str]:
        """Return the names of the layers whose outputs reach a ``view`` with no other layer in between."""
        return {
            name
            for graph in self._graphs
            for node in graph.nodes
            if node.op == "call_method" and node.target == "view"
            for name in _layers_before(node)
        }


def trace(network: nn.Module) -> Dataflow | None:
    """Trace a network by torch.fx in each mode; return None where that fails, or its code may do otherwise later.

    A copy is traced, as tracing runs the network's own code once per mode. What it shows is true of every pass only if
    it leaves the network and the random generators as they are, and looks at no value.
    """
    graphs = {}
    try:
        copied = copy.deepcopy(network)
        for training, modes in groupby(MODES, key=lambda mode: mode.training):
            copied.train(training)
            before = State(copied)
            copied.train(training)  # a train() of the network's own may do something each time
            for mode in modes:
                with seeded_generators(0), mode.entered():
                    generators = _generators()
                    with _Watch(copied.parameters()) as watch:
                        graphs[mode] = _trace(copied)
                    if watch.looked or State(copied).content != before.content or _generators() != generators:
                        return None
        return Dataflow(graphs, network)
    except Exception:
        return None


def _trace(network: nn.Module) -> Graph:
    """Trace a network, without the attributes that torch.fx gives it for tensors that its code computes of buffers."""
    known = {*vars(network)}
    graph = _Tracer().trace(network)
    for name in vars(network).keys() - known:
        if name.startswith("_tensor_constant"):
            delattr(network, name)
    return graph


class _Tracer(Tracer):
    """Torch's, which also looks into a layer of torch's that was given a ``forward`` of its own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Say whether a module is one node of the graph."""
        return "forward" not in vars(m) and super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Return what a module returns; look into a sequence that was made in passing, as by a slice."""
        if type(m) is nn.Sequential and m not in (self.submodule_paths or {}):
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def proxy(self, node: Node) -> Proxy:
        """Return what stands for a value."""
        return _NoKey(node, self)


class _NoKey(Proxy):
    """Torch's stand-in for a value, which is no key: a dictionary would miss it where it finds the value."""

    def __hash__(self) -> int:
        raise TraceError("a value that is not known is no key")


class _Watch(TorchFunctionMode):
    """Notes whether code looks at values, on which its way can depend.

    Args:
        computed: Tensors of which every use but by a traced operation counts, as ``parameters()`` hides them from it.
        apart: Identities of tensors that may become a float, as norms without momentum do with their count.

    """

    def __init__(self, computed: Iterable[Tensor] = (), apart: Iterable[int] = ()) -> None:
        super().__init__()
        self._computed = frozenset(map(id, computed))
        self._reads = _Reads(apart)
        self._looked = False

    @property
    def looked(self) -> bool:
        """Whether code has looked at a value."""
        return self._looked or self._reads.looked

    def __enter__(self) -> Self:
        """Watch from now on."""
        self._reads.__enter__()  # type: ignore[no-untyped-call]  # torch's own
        super().__enter__()  # type: ignore[no-untyped-call]  # torch's own
        return self

    def __exit__(self, *raised: object) -> None:
        """Watch no longer."""
        super().__exit__(*raised)  # type: ignore[no-untyped-call]  # torch's own
        self._reads.__exit__(*raised)  # type: ignore[no-untyped-call]  # torch's own

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        """Do what is asked for, and note what it is."""
        if not any(issubclass(each, Proxy) for each in types):
            first = args[0] if args else None
            given = {id(each) for each in (first if isinstance(first, (list, tuple)) else args)}
            describes = getattr(getattr(func, "__self__", None), "__name__", "") in _DESCRIPTIONS
            apart = func == Tensor.__float__ and id(first) in self._reads.apart
            self._looked |= (func in _LOOKS and not apart) or (not describes and not given.isdisjoint(self._computed))
        return func(*args, **(kwargs or {}))


class _Reads(TorchDispatchMode):
    """Notes whether an operation makes a number or a shape of a tensor's content, whoever calls it.

    Args:
        apart: Identities of tensors of which that is no look.

    """

    def __init__(self, apart: Iterable[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own
        self.apart = frozenset(apart)
        self.looked = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Say, to torch, that its compiler need not be imported to be kept out, which takes two seconds."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch gives its operations no type
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        """Do what is asked for, and note what it is."""
        if not _READS.isdisjoint(func.tags) and not (args and id(args[0]) in self.apart):
            self.looked |= func is not torch.ops.aten.index.Tensor or any(
                each is not None and each.dtype in {torch.bool, torch.uint8} for each in args[1]
            )  # an index by numbers gives as many values as there are numbers
        return func(*args, **(kwargs or {}))


def is_steady(network: nn.Module, shape: tuple[int, int, int]) -> bool:
    """Say whether a pass leaves everything as it is, but for the statistics of norms, and looks at no value.

    A network that counts its passes, for example, may do otherwise after some of them, and one that asks whether its
    images are dark may do otherwise on others. In training the pass is one forward and backward.
    """
    try:
        copied = copy.deepcopy(network)
        apart = {id(each) for norm in copied.modules() if isinstance(norm, _NormBase) for each in norm.buffers()}
        dtype = next((each.dtype for each in copied.parameters() if each.is_floating_point()), torch.float32)
        for mode in (TRAINING, SCORING):
            with seeded_generators(0), mode.entered():
                copied.train(mode.training)
                before = State(copied, apart)
                copied.train(mode.training)
                with _Watch(apart=apart) as watch:
                    output = copied(torch.rand(2, *shape).to(dtype))
                    if output.requires_grad:
                        output.sum().backward()
                if watch.looked or State(copied, apart).content != before.content:
                    return False
    except Exception:
        return False
    return True


def _generators() -> tuple[object, ...]:
    return torch.get_rng_state().tolist(), save_generators()


def _layers_before(node: Node) -> Iterator[str]:
    waiting, seen = [*node.all_input_nodes], set[Node]()
    while waiting:
        each = waiting.pop()
        if each.op == "call_module":
            yield str(each.target)
        elif each not in seen:
            seen.add(each)
            waiting += each.all_input_nodes
