"""Comparing two engines: the worst element, what is not finite, and the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import ReplayEngine, TensorSpec, compare, format_differences, open_engine
from vidgraph.engines.compare import difference, random_feeds
from vidgraph.pipeline.errors import EngineError

FLOAT = np.dtype(np.float32)


def replay(name: str, **outputs: np.ndarray) -> ReplayEngine:
    specs = tuple(TensorSpec(key, array.dtype, array.shape) for key, array in outputs.items())
    return ReplayEngine((TensorSpec("x", FLOAT, (1,)),), specs, [outputs], name=name)


FEEDS = {"x": np.zeros(1, np.float32)}


def test_finds_the_worst_element() -> None:
    reference = np.array([[1.0, -8.0], [4.0, 2.0]], np.float32)
    other = np.array([[1.0, -8.5], [6.0, 2.0]], np.float32)
    (row,) = compare(replay("a.onnx", y=reference), replay("b.onnx", y=other), FEEDS)
    assert (row.output, row.shape, row.index) == ("y", (2, 2), (1, 0))
    assert (row.worst, row.reference_value, row.other_value) == (2.0, 4.0, 6.0)
    assert row.relative == 0.25
    assert row.mean == 0.625
    assert (row.non_finite, row.disagree) == ((0, 0), 0)


def test_counts_what_is_not_finite() -> None:
    nan, inf = np.nan, np.inf
    row = difference("y", np.array([nan, inf, inf, 1, 2.0]), np.array([nan, inf, -inf, nan, 2.5]))
    assert row.non_finite == (3, 4)
    assert row.disagree == 2
    assert (row.worst, row.index, row.mean) == (0.5, (4,), 0.5)  # where both are finite


@pytest.mark.parametrize(("other", "relative"), [(0.0, 0.0), (1.0, np.inf)])
def test_a_reference_of_zeros(other: float, relative: float) -> None:
    assert difference("y", np.zeros(3), np.full(3, other)).relative == relative


def test_integers_and_truth_values_are_compared_as_numbers() -> None:
    assert difference("y", np.array([250], np.uint8), np.array([5], np.uint8)).worst == 245
    assert difference("y", np.array([True]), np.array([False])).worst == 1


def test_the_table() -> None:
    engines = [
        replay(name, scores=np.array([[1.0, value]], np.float32)) for name, value in (("a.onnx", 2), ("b.onnx", 3))
    ]
    text = format_differences(*engines, compare(*engines, FEEDS))
    assert text.splitlines() == [
        "reference: a.onnx (replay, fp32, cpu)   other: b.onnx (replay, fp32, cpu)",
        "output  shape   worst  at      reference  other  relative  mean  non-finite",
        "scores  [1, 2]  1      [0, 1]  2          3      0.5       0.5   0/0",
    ]


def test_engines_of_different_outputs_are_not_compared() -> None:
    with pytest.raises(
        EngineError, match=r"^cannot compare a\.onnx \(.*\) with b\.onnx \(.*\): outputs are y \[1\] and z \[1\]$"
    ):
        compare(replay("a.onnx", y=np.zeros(1)), replay("b.onnx", z=np.zeros(1)), FEEDS)


def test_both_engines_give_the_same_numbers(network: Path, tolerance: Any) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnxruntime")
    reference = open_engine(network, engine="onnxruntime")
    other = open_engine(network, engine="openvino", precision="fp32")
    rows = compare(reference, other, random_feeds(reference.inputs))
    assert [row.output for row in rows] == ["features", "means"]
    assert 0 < max(row.worst for row in rows) <= tolerance("engine fp32, one convolution")


def test_random_feeds_fit_their_specs() -> None:
    kinds = (np.float16, np.float32, np.int8, np.uint8, np.int64, np.bool_)
    specs = tuple(TensorSpec(np.dtype(kind).name, np.dtype(kind), (2, 40)) for kind in kinds)
    feeds = random_feeds(specs, seed=1)
    assert {name: (array.dtype, array.shape) for name, array in feeds.items()} == {
        s.name: (s.dtype, s.shape) for s in specs
    }
    assert feeds["uint8"].max() > 127
    np.testing.assert_array_equal(feeds["float32"], random_feeds(specs, seed=1)["float32"])


@pytest.mark.parametrize("shape", [(0,), (1, -1)])
def test_a_spec_has_fixed_dimensions(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="tensor 'x' must have fixed positive dimensions"):
        TensorSpec("x", FLOAT, shape)
