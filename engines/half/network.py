"""The network of a plan: with tensors in fp16, or with the same arithmetic in fp32 for an engine that has no fp16.

The second rounds what every node of the plan takes and gives to fp16 and computes in fp32 in between, which is what
tensor cores do: they multiply numbers of fp16 and add in fp32. What is too large becomes infinity, as it would there.
Every original name stays the name of the tensor in fp32; beside it is its twin in fp16.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from .plan import FLOAT, HALF, HalfPlan, captured, name_of, plan_half, with_constants

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

MAXIMUM = ".largest"
"""What an output of :func:`observed` ends with."""


def half_network(model: ModelProto, folder: str, keep: Collection[str] = ()) -> ModelProto:
    """The network with tensors in fp16; inputs and outputs stay as they are.

    Args:
        model: of fp32.
        folder: where its further files of weights are.
        keep: names of nodes (:func:`.plan.name_of`) that stay in fp32, besides those that always do.

    Raises:
        EngineError: the types of its tensors cannot be inferred.
    """
    return _made(model, folder, keep, rounding=False)


def rounded_network(model: ModelProto, folder: str, keep: Collection[str] = ()) -> ModelProto:
    """A network of fp32 that computes what :func:`half_network` does on tensor cores; arguments as there.

    It needs an engine that leaves every node as it stands: two casts that undo each other are the point here.
    """
    return _made(model, folder, keep, rounding=True)


def observed(model: ModelProto, folder: str) -> tuple[ModelProto, dict[str, str]]:
    """The network with further outputs: of each tensor that a plan may have in fp16, its largest magnitude.

    Returns:
        the network, and tensor -> name of the output (float32 []).
    """
    from onnx import helper

    made = with_constants(model, folder)
    plan = plan_half(made)
    wanted = {name for node in made.graph.node if name_of(node) in plan.half for name in (*node.input, *node.output)}
    outputs = {name: f"{name}{MAXIMUM}" for name in sorted((wanted & plan.floats) - plan.constants.keys())}
    for name, largest in outputs.items():
        made.graph.node.append(helper.make_node("Abs", [name], [f"{largest}.all"]))
        made.graph.node.append(helper.make_node("ReduceMax", [f"{largest}.all"], [largest], keepdims=0))
        made.graph.output.append(helper.make_tensor_value_info(largest, FLOAT, []))
    return made, outputs


def _made(model: ModelProto, folder: str, keep: Collection[str], *, rounding: bool) -> ModelProto:
    made = with_constants(model, folder)
    writer = _Writer(made, plan_half(made, keep), rounding=rounding)
    del made.graph.node[:]
    made.graph.node.extend(writer.nodes)
    made.graph.initializer.extend(writer.constants)
    del made.graph.value_info[:]
    _drop_unread(made)
    return made


class _Writer:
    """The nodes of a network with twins in fp16 of the tensors that need them."""

    def __init__(self, model: ModelProto, plan: HalfPlan, *, rounding: bool) -> None:
        self._plan, self._rounding = plan, rounding
        self._suffix = _free_suffix(model)
        self.nodes: list[NodeProto] = []
        self.constants: list[Any] = []
        self._wanted = self._wanted_in_half(model)
        self._read = self._read_in_fp32(model)
        for name in self._wanted & plan.constants.keys():
            self._write_constant(name)
        for value in model.graph.input:
            if value.name in self._wanted - plan.constants.keys():
                self._to_half(value.name, value.name)
        for node in model.graph.node:
            self._write(node)

    def _wanted_in_half(self, model: ModelProto) -> set[str]:
        return {
            node.input[place]
            for node in model.graph.node
            if name_of(node) in self._plan.half
            for place in self._plan.takes(node)
        }

    def _read_in_fp32(self, model: ModelProto) -> set[str]:
        names = {value.name for value in model.graph.output}
        for node in model.graph.node:
            taken = set(self._plan.takes(node)) if name_of(node) in self._plan.half else set[int]()
            names |= {name for place, name in enumerate(node.input) if place not in taken} | captured(node)
        return names

    def _twin(self, name: str) -> str:
        return f"{name}{self._suffix}"

    def _write_constant(self, name: str) -> None:
        from onnx import numpy_helper

        values = self._plan.constants[name].astype(np.float16)
        self.constants.append(
            numpy_helper.from_array(values.astype(np.float32) if self._rounding else values, self._twin(name))
        )

    def _write(self, node: NodeProto) -> None:
        copy = type(node)()
        copy.CopyFrom(node)
        self.nodes.append(copy)
        given = [name for name in node.output if name in self._plan.floats]
        if name_of(node) not in self._plan.half:
            for name in given:
                if name in self._wanted:
                    self._to_half(name, name)
            return
        for place in self._plan.takes(node):
            copy.input[place] = self._twin(node.input[place])
        for place, name in enumerate(node.output):
            if name in self._plan.floats:
                copy.output[place] = f"{self._twin(name)}.exact" if self._rounding else self._twin(name)
        for name in given:
            if self._rounding:
                self._to_half(f"{self._twin(name)}.exact", name)
            if name in self._read:
                self._cast(self._twin(name), name, FLOAT)

    def _to_half(self, source: str, name: str) -> None:
        """The twin of ``name``, from a tensor of fp32."""
        if not self._rounding:
            self._cast(source, self._twin(name), HALF)
            return
        self._cast(source, f"{self._twin(name)}.fp16", HALF)
        self._cast(f"{self._twin(name)}.fp16", self._twin(name), FLOAT)

    def _cast(self, source: str, target: str, kind: int) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node("Cast", [source], [target], name=f"{target}.cast", to=kind))


def _free_suffix(model: ModelProto) -> str:
    """What no name of the network ends with."""
    names = [name for node in model.graph.node for name in (*node.input, *node.output)]
    suffix = ".half"
    while any(name.endswith((suffix, f"{suffix}.exact", f"{suffix}.fp16")) for name in names):
        suffix += "_"
    return suffix


def _drop_unread(model: ModelProto) -> None:
    """Remove initial values that nothing reads any more."""
    read = {value.name for value in model.graph.output}
    for node in model.graph.node:
        read |= {*node.input, *captured(node)}
    unread = {tensor.name for tensor in model.graph.initializer} - read
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in unread]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    for value in [value for value in model.graph.input if value.name in unread]:  # old files list constants there too
        model.graph.input.remove(value)
