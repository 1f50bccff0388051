"""Networks whose first and last nodes do nothing, and what else exporters leave at the edges, with their answers.

All arithmetic is exact in every precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

Arrays = dict[str, np.ndarray]
Node = tuple[str, list[str], list[str], dict[str, Any]]
SHAPE = (1, 3, 4, 4)


@dataclass(frozen=True)
class EdgeNet:
    """``nodes`` are (operator, inputs, outputs, attributes); inputs and outputs are name -> dtype."""

    nodes: list[Node]
    inputs: dict[str, Any]
    answers: dict[str, Callable[[Arrays], np.ndarray]]
    constants: dict[str, np.ndarray]
    opset: int = 17
    ir_version: int = 8
    listed: bool = False

    def feeds(self) -> Arrays:
        """Small whole numbers, others for each input."""
        return {
            name: np.random.default_rng(seed).integers(0, 100, SHAPE).astype(dtype)
            for seed, (name, dtype) in enumerate(self.inputs.items())
        }

    def expected(self) -> Arrays:
        feeds = self.feeds()
        return {name: answer(feeds) for name, answer in self.answers.items()}

    def write(self, path: Path) -> Path:
        """``listed``: the constants are listed as inputs too, as files before IR version 4 do."""
        helper = onnx.helper
        kind = helper.np_dtype_to_tensor_dtype

        def info(name: str, array: np.ndarray) -> Any:
            return helper.make_tensor_value_info(name, kind(array.dtype), array.shape)

        graph = helper.make_graph(
            [helper.make_node(operator, ins, outs, **more) for operator, ins, outs, more in self.nodes],
            "edges",
            [info(*each) for each in (self.feeds() | (self.constants if self.listed else {})).items()],
            [info(*each) for each in self.expected().items()],
            [onnx.numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", self.opset)]
        path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=self.ir_version).SerializeToString())
        return path


TWO, TWO_HALF = {"two": np.array(2, np.float32)}, {"two": np.array(2, np.float16)}
SHAPE_OF_ALL = {"shape": np.array(SHAPE)}
FLOAT, HALF, INT64, BYTE, BOOL = 1, 10, 7, 2, 9  # TensorProto.DataType


def doubled(name: str = "images", dtype: Any = np.float32) -> Callable[[Arrays], np.ndarray]:
    return lambda feeds: (2 * feeds[name]).astype(dtype)


def same(name: str = "images") -> Callable[[Arrays], np.ndarray]:
    return lambda feeds: feeds[name]


def around(operator: str, inner: dict[str, np.ndarray] = TWO, **attributes: Any) -> EdgeNet:
    """``operator`` before and behind a multiplication by two; names sort before and behind those of the file."""
    extra = ["shape"] if operator == "Reshape" else []
    return EdgeNet(
        [
            (operator, ["images", *extra], ["a"], attributes),
            ("Mul", ["a", "two"], ["z"], {}),
            (operator, ["z", *extra], ["output0"], attributes),
        ],
        {"images": np.float32},
        {"output0": doubled()},
        inner | (SHAPE_OF_ALL if extra else {}),
    )


def ended(operator: str, dtype: Any, answer: Callable[[np.ndarray], Any], **attributes: Any) -> EdgeNet:
    """One node."""
    answers = {"output0": lambda feeds: np.asarray(answer(feeds["images"]), dtype)}
    return EdgeNet(
        [(operator, ["images"], ["output0"], attributes)], {"images": np.float32}, answers, {}
    )  # fmt: skip


MUL: Node = ("Mul", ["images", "two"], ["a"], {})
EDGES = {
    "cast": around("Cast", to=FLOAT),
    "identity": around("Identity"),
    "dropout": around("Dropout"),
    "reshape": around("Reshape"),
    "half inside": EdgeNet(
        [
            ("Cast", ["images"], ["graph_input_cast_0"], {"to": HALF}),
            ("Mul", ["graph_input_cast_0", "two"], ["graph_output_cast_0"], {}),
            ("Cast", ["graph_output_cast_0"], ["output0"], {"to": FLOAT}),
        ],
        {"images": np.float32}, {"output0": doubled()}, TWO_HALF,
    ),
    "half": EdgeNet([("Mul", ["images", "two"], ["output0"], {})], {"images": np.float16},
                    {"output0": doubled(dtype=np.float16)}, TWO_HALF),
    "half outside": EdgeNet(
        [
            ("Cast", ["images"], ["a"], {"to": FLOAT}),
            ("Mul", ["a", "two"], ["b"], {}),
            ("Cast", ["b"], ["output0"], {"to": HALF}),
        ],
        {"images": np.float16}, {"output0": doubled(dtype=np.float16)}, TWO,
    ),
    "chain": EdgeNet(
        [
            ("Identity", ["images"], ["a"], {}),
            ("Dropout", ["a"], ["b"], {}),
            ("Cast", ["b"], ["c"], {"to": FLOAT}),
            ("Mul", ["c", "two"], ["d"], {}),
            ("Identity", ["d"], ["e"], {}),
            ("Dropout", ["e"], ["output0"], {}),
        ],
        {"images": np.float32}, {"output0": doubled()}, TWO,
    ),
    "two outputs are one tensor": EdgeNet(
        [MUL, ("Identity", ["a"], ["z"], {}), ("Identity", ["a"], ["b"], {})],
        {"images": np.float32}, {"z": doubled(), "b": doubled()}, TWO,
    ),
    "an output and its identity": EdgeNet([MUL, ("Identity", ["a"], ["z"], {})], {"images": np.float32},
                                          {"z": doubled(), "a": doubled()}, TWO),
    "an output that is the input": EdgeNet([MUL], {"images": np.float32}, {"images": same(), "a": doubled()}, TWO),
    "an identity of the input": EdgeNet([MUL, ("Identity", ["images"], ["b"], {})], {"images": np.float32},
                                        {"a": doubled(), "b": same()}, TWO),
    "a dropout of the input": EdgeNet([MUL, ("Dropout", ["images"], ["b"], {})], {"images": np.float32},
                                      {"a": doubled(), "b": same()}, TWO),
    "a dropout alone": EdgeNet([("Dropout", ["images"], ["output0"], {})], {"images": np.float32},
                               {"output0": same()}, {}),
    "a constant output": EdgeNet([MUL], {"images": np.float32}, {"a": doubled(), "two": lambda feeds: TWO["two"]}, TWO),
    "a mask of a dropout": EdgeNet(
        [MUL, ("Dropout", ["a"], ["output0", "kept"], {})], {"images": np.float32},
        {"output0": doubled(), "kept": lambda feeds: np.ones(SHAPE, np.bool_)}, TWO,
    ),
    "two inputs, not in the order of names": EdgeNet(
        [
            ("Dropout", ["z"], ["a"], {}),
            ("Dropout", ["b"], ["y"], {}),
            ("Sub", ["a", "y"], ["c"], {}),
            ("Identity", ["c"], ["output1"], {}),
            ("Add", ["a", "y"], ["x"], {}),
            ("Identity", ["x"], ["output0"], {}),
        ],
        {"z": np.float32, "b": np.float32},
        {"output1": lambda feeds: feeds["z"] - feeds["b"], "output0": lambda feeds: feeds["z"] + feeds["b"]}, {},
    ),
    "inputs that nothing reads": EdgeNet(
        [("Dropout", ["images"], ["d"], {}), ("Mul", ["d", "two"], ["output0"], {}), ("Relu", ["dead"], ["r"], {})],
        {"before": np.int64, "images": np.float32, "dead": np.float32, "after": np.uint8},
        {"output0": doubled()}, TWO,
    ),
    "weights listed as inputs": EdgeNet([("Mul", ["images", "two"], ["output0"], {})], {"images": np.float32},
                                        {"output0": doubled()}, TWO, opset=8, ir_version=3, listed=True),
    "odd names": EdgeNet(
        [
            ("Cast", ["pic ture:0/é,;"], ["a"], {"to": FLOAT}),
            ("Mul", ["a", "two"], ["m"], {}),
            ("Identity", ["m"], ["out put,0;/:é"], {}),
        ],
        {"pic ture:0/é,;": np.float32}, {"out put,0;/:é": doubled("pic ture:0/é,;")}, TWO,
    ),
    "uint8 output": ended("Cast", np.uint8, np.uint8, to=BYTE),
    "int64 output": ended("Cast", np.int64, np.int64, to=INT64),
    "bool output": ended("Cast", np.bool_, np.bool_, to=BOOL),
    "float64 output": ended("Cast", np.float64, np.float64, to=11),
    "scalar output": ended("ReduceMax", np.float32, np.max, keepdims=0),
}  # fmt: skip
