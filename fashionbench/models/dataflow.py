"""How data flow through a network, and what its code can change or reach, on which that depends."""

import copy
import io
import pickle
from collections import Counter
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node, Tracer

from fashionbench.models.randomness import save_generators, seeded_generators

__all__ = ["Dataflow", "State", "is_independent", "trace"]

_ATOMS = (type, FunctionType, ModuleType, torch.jit.ScriptModule)


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
    evaluation. What it shows is true of every pass only if it leaves the network and the random generators as they are.
    """
    graphs = []
    try:
        for training in (True, False):
            copied = copy.deepcopy(network)
            with seeded_generators(0), torch.set_grad_enabled(training):
                copied.train(training)
                before, generators = State(copied), _generators()
                copied.train(training)  # a train() of the network's own may do something each time
                graphs.append(Tracer().trace(copied))
                if State(copied).content != before.content or _generators() != generators:
                    return None
        return Dataflow(graphs, network)
    except Exception:
        return None


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


class State(pickle.Pickler):
    """A network's attributes, in whatever objects they are, and in the variables that its functions close over.

    Tensors count by identity and version, so that a tensor that was replaced or written to makes another state.

    Args:
        network: The network.

    Raises:
        Exception: It has an attribute that cannot be pickled, such as a lock.

    """

    def __init__(self, network: nn.Module) -> None:
        content = io.BytesIO()
        super().__init__(content)
        self._met: list[object] = []  # kept, so that no identity is used again
        self.dump(network)
        self.content = content.getvalue()
        self.identities = frozenset(map(id, self._met))

    def persistent_id(self, each: object) -> object:
        """Return what stands for an object that is not pickled; None for one that is."""
        if isinstance(each, (nn.Module, Tensor)):
            self._met.append(each)
        if isinstance(each, Tensor):
            return id(each), each._version  # noqa: SLF001 - torch has no public name for it
        if isinstance(each, BuiltinFunctionType) and isinstance(each.__self__, (type, ModuleType, type(None))):
            return id(each)
        if not isinstance(each, _ATOMS):
            return None
        closure = getattr(each, "__closure__", None) or ()
        return id(each), [cell.cell_contents for cell in closure]

    def reducer_override(self, each: object) -> tuple[type, tuple[()], dict[str, object]]:
        """Return how an object is pickled: a module by its attributes, whatever it says of itself."""
        return (type(each), (), vars(each)) if isinstance(each, nn.Module) else NotImplemented


def is_independent(network: nn.Module, original: nn.Module) -> bool:
    """Say whether a network reaches none of the modules and tensors of the one that it is a copy of.

    A copy of a network whose functions close over it does, and then it computes with the original's layers.
    """
    try:
        return State(network).identities.isdisjoint(State(original).identities)
    except Exception:
        return False
