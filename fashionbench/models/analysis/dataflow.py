"""How data flow through a network, as far as that is true of every pass."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node, Proxy, Tracer
from torch.fx.proxy import TraceError
from torch.nn.modules.batchnorm import _NormBase
from torch.overrides import TorchFunctionMode

from fashionbench.models.analysis.state import State
from fashionbench.models.randomness import save_generators, seeded_generators

__all__ = ["Dataflow", "is_steady", "trace"]

_LOOKS = tuple(
    getattr(Tensor, name)
    for name in ("__bool__", "__float__", "__index__", "__int__", "equal", "item", "numpy", "tolist")
)
"""What makes a value of Python of a tensor, on which code can choose its way."""
_DESCRIPTIONS = {"device", "dtype", "is_cuda", "layout", "ndim", "requires_grad", "shape"}
"""Attributes of a tensor that say nothing of its values."""


class Dataflow:
    """What a network does with its layers, in training and in evaluation alike.

    Args:
        graphs: Of one network, as torch.fx traced it in each mode.
        network: The network, whose layers and parameters are asked about.

    """

    def __init__(self, graphs: Iterable[Graph], network: nn.Module) -> None:
        self._graphs = tuple(graphs)
        self._names = dict(network.named_modules(remove_duplicate=False))
        self._parameters = dict(network.named_parameters(remove_duplicate=False))
        self._calls = [self._calls_of(graph) for graph in self._graphs]
        self._times_named = Counter(id(module) for module in self._names.values())
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
        """Say whether a layer has one name, is called, and none of its parameters is read by anything else."""
        return (
            self._times_named[id(layer)] == 1
            and all(id(layer) in calls for calls in self._calls)
            and not self._read & {id(each) for each in layer.parameters()}
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
    """Trace a network by torch.fx in both modes; return None where that fails, or its code may do otherwise later.

    Copies are traced, as tracing runs the network's own code once per mode, with gradients in training and without in
    evaluation. What it shows is true of every pass only if it leaves the network and the random generators as they are,
    and looks at no value.
    """
    graphs = []
    try:
        for training in (True, False):
            copied = copy.deepcopy(network)
            with seeded_generators(0), torch.set_grad_enabled(training):
                copied.train(training)
                before, generators = State(copied), _generators()
                copied.train(training)  # a train() of the network's own may do something each time
                with _Watch(copied.parameters()) as watch:
                    graphs.append(_Tracer().trace(copied))
                if watch.looked or State(copied).content != before.content or _generators() != generators:
                    return None
        return Dataflow(graphs, network)
    except Exception:
        return None


class _Tracer(Tracer):
    """Torch's, which also looks into a layer of torch's that was given a ``forward`` of its own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Say whether a module is one node of the graph."""
        return "forward" not in vars(m) and super().is_leaf_module(m, module_qualified_name)

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
        self._apart = frozenset(apart)
        self.looked = False

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
            self.looked |= not describes and not given.isdisjoint(self._computed)
            self.looked |= func in _LOOKS and not (func == Tensor.__float__ and id(first) in self._apart)
        return func(*args, **(kwargs or {}))


def is_steady(network: nn.Module, shape: tuple[int, int, int]) -> bool:
    """Say whether a pass leaves everything as it is, but for the statistics of norms, and looks at no value.

    A network that counts its passes, for example, may do otherwise after some of them, and one that asks whether its
    images are dark may do otherwise on others.
    """
    try:
        copied = copy.deepcopy(network)
        apart = {id(each) for norm in copied.modules() if isinstance(norm, _NormBase) for each in norm.buffers()}
        dtype = next((each.dtype for each in copied.parameters() if each.is_floating_point()), torch.float32)
        with seeded_generators(0), torch.no_grad():
            for training in (True, False):
                copied.train(training)
                before = State(copied, apart)
                copied.train(training)
                with _Watch(apart=apart) as watch:
                    copied(torch.rand(2, *shape).to(dtype))
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
