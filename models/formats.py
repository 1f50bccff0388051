"""How a network wants its picture, the shapes of its graphs, and what is kept of its outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

OutputSelector = Callable[[Mapping[str, NDArray[Any]]], Arrays]


@dataclass(frozen=True, slots=True)
class InputFormat:
    """How the network wants its picture: ``(value - mean) / std``, [B, 3, H, W].

    Attributes:
        name: of the graph's input.
        mean, std: of values 0..255, in the order of the channels that the network sees.
        bgr: the channels are blue, green, red.
        pad: RGB colour of what the picture does not cover.
        long_side: default length of the longer side, in pixels.
        stretch: the input is a square of that side, and the picture fills it whatever its aspect.
        size: default height and width, where that is no square; with ``stretch`` only.
        torch_resize: the official code resizes with PyTorch, see :func:`..kernels.preprocess`.
        dtype: ``float32``, ``float16``, ``uint8``, or ``int32`` or ``int64`` with the values of ``uint8``.
        layout: ``nchw``, or ``nhwc``: [B, H, W, 3].
    """

    name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool
    pad: tuple[int, int, int]
    long_side: int
    stretch: bool = False
    torch_resize: bool = False
    size: tuple[int, int] | None = None
    dtype: str = "float32"
    layout: str = "nchw"


@dataclass(frozen=True, slots=True)
class GraphShape:
    """Everything in an exported graph that depends on the input's size and on the batch.

    Attributes:
        inputs, outputs: name -> shape.
        constants: name -> int64 values that the graph uses as the sizes of resizes, in the order of the graph.
        tables: name -> int64 or float32 arrays that the network takes behind its inputs while it is exported,
            and that the graph then holds.
    """

    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    constants: dict[str, tuple[int, ...]] = field(default_factory=dict)
    tables: dict[str, NDArray[Any]] = field(default_factory=dict)
