"""How data flow through a network: which layers are called, how often, and what uses their outputs."""

import copy
from collections import Counter
from collections.abc import Iterable

from torch import nn
from torch.fx import Graph, Node, Tracer

__all__ = ["Dataflow", "trace"]


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


def trace(network: nn.Module) -> Dataflow | None:
    """Trace a network by torch.fx in both modes; return None where its code cannot be traced.

    A copy is traced, as tracing runs the network's own code once per mode.
    """
    graphs = []
    for training in (True, False):
        try:
            graphs.append(Tracer().trace(copy.deepcopy(network).train(training)))
        except Exception:
            return None
    return Dataflow(graphs, network)
