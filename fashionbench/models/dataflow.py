"""How data flow through a network, and what its code can change or reach, on which that depends."""

import copy
import inspect
import io
import pickle
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node, Tracer
from torch.nn.modules.batchnorm import _NormBase

from fashionbench.models.randomness import save_generators, seeded_generators

__all__ = ["Dataflow", "State", "is_independent", "is_steady", "trace"]

_ATOMS = (type, FunctionType, ModuleType, torch.jit.ScriptModule)
_FUNCTIONS = (MethodType, classmethod, staticmethod, property)
_OURS = __name__.partition(".")[0]


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
                graphs.append(_Tracer().trace(copied))
                if State(copied).content != before.content or _generators() != generators:
                    return None
        return Dataflow(graphs, network)
    except Exception:
        return None


class _Tracer(Tracer):
    """Torch's, which also looks into a layer of torch's that was given a ``forward`` of its own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Say whether a module is one node of the graph."""
        return "forward" not in vars(m) and super().is_leaf_module(m, module_qualified_name)


def is_steady(network: nn.Module, shape: tuple[int, int, int]) -> bool:
    """Say whether a pass leaves everything as it is, but for the statistics of norms.

    A network that counts its passes, for example, may do otherwise after some of them.
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
                copied(torch.rand(2, *shape).to(dtype))
                if State(copied, apart).content != before.content:
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


class State(pickle.Pickler):
    """A network's attributes, in whatever objects they are, and the variables outside of it that its code names.

    Tensors count by identity and version, so that a tensor that was replaced or written to makes another state.

    Args:
        network: The network.
        apart: Identities of tensors of which any version is the same state.

    Raises:
        Exception: It has an attribute that cannot be pickled, such as a lock.

    """

    def __init__(self, network: nn.Module, apart: Iterable[int] = ()) -> None:
        content = io.BytesIO()
        super().__init__(content)
        self._apart = frozenset(apart)
        self._met: list[object] = []  # kept, so that no identity is used again
        self.dump(network)
        self.identities = frozenset(map(id, self._met))
        for each in _find_outside(network):
            with suppress(Exception):  # what cannot be pickled, such as a file, counts as unchanged
                self.dump(each)
        self.content = content.getvalue()

    def persistent_id(self, each: object) -> object:
        """Return what stands for an object that is not pickled; None for one that is."""
        if isinstance(each, (nn.Module, Tensor)):
            self._met.append(each)
        if isinstance(each, Tensor):
            return id(each), id(each) in self._apart or each._version  # noqa: SLF001 - torch has no public name for it
        if isinstance(each, BuiltinFunctionType) and isinstance(each.__self__, (type, ModuleType, type(None))):
            return id(each)
        if not isinstance(each, _ATOMS):
            return None
        closure = getattr(each, "__closure__", None) or ()
        return id(each), [cell.cell_contents for cell in closure]

    def reducer_override(self, each: object) -> tuple[type, tuple[()], object]:
        """Return how an object is pickled: a module by its attributes, whatever it says of itself."""
        return (type(each), (), object.__getstate__(each)) if isinstance(each, nn.Module) else NotImplemented


def is_independent(network: nn.Module, original: nn.Module) -> bool:
    """Say whether a network reaches none of the modules and tensors of the one that it is a copy of.

    A copy of a network whose functions close over it does, and then it computes with the original's layers.
    """
    try:
        return State(network).identities.isdisjoint(State(original).identities)
    except Exception:
        return False


def _find_outside(network: nn.Module) -> Iterator[object]:
    """Yield what a network's own code finds outside of it, but for functions, classes and modules.

    These are global variables, those that functions close over, their defaults, and attributes of classes. The code of
    installed packages is passed over.
    """
    waiting: list[object] = [type(each) for each in network.modules()]
    waiting += [value for each in network.modules() for value in vars(each).values()]
    seen: set[int] = set()
    while waiting:
        each = _function_of(waiting.pop())
        if isinstance(each, (FunctionType, type)) and id(each) not in seen and not _is_installed(each.__module__):
            seen.add(id(each))
            for value in _named_by(each):
                if isinstance(_function_of(value), (FunctionType, type)):
                    waiting.append(value)
                elif not isinstance(value, ModuleType):
                    yield value


def _function_of(value: object) -> object:
    """Return the function of a method or a property; anything else as it is."""
    return getattr(value, "__func__", getattr(value, "fget", None)) if isinstance(value, _FUNCTIONS) else value


def _named_by(each: FunctionType | type) -> list[object]:
    if isinstance(each, type):
        hidden = ("__dict__", "__weakref__")  # of each instance
        return [*each.__mro__[1:], *(value for name, value in vars(each).items() if name not in hidden)]
    variables = inspect.getclosurevars(each)
    return [*variables.nonlocals.values(), *variables.globals.values(), each.__defaults__, each.__kwdefaults__]


@cache
def _is_installed(module: str) -> bool:
    root = module.partition(".")[0]
    file = str(getattr(sys.modules.get(root), "__file__", ""))
    return root in sys.stdlib_module_names or root == _OURS or file.startswith(sysconfig.get_paths()["purelib"])
