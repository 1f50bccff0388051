"""What one kind of output (a head) gives to the rest: what it keeps of the outputs, and results in frame pixels.

A module of ``heads/`` has one function::

    def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None

``outputs`` are the network's, of fixed shapes and a batch of one, with the dtypes that heads see
(:func:`seen_dtype`); ``about`` is what else is known; ``size`` is the input's (height, width). The answer
is a head, or in one line what is wrong (the output, its shape, what was wanted) where the outputs nearly
look like this head, or None where they do not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...engines.spec import TensorSpec
from ...pipeline.errors import EngineError
from ...pipeline.packet import Key
from ...pipeline.types.picture import Size
from ...stages.inference.infer import RawOutputs
from ..formats import OutputSelector
from ..options import PostprocessOptions
from .description import Description

Found = dict[Key[Any], Any]
"""What a head found in one frame, in displayed pixels: by the key of its type of results, ``DETECTIONS``, …"""


class Head(Protocol):
    """One understood set of outputs. A frozen dataclass without state; safe from any thread."""

    @property
    def kind(self) -> str:
        """The name in ``HEADS``: ``yolo``, ``detr``, …"""

    @property
    def task(self) -> str:
        """What it finds, as the first line of a run says it: ``boxes``, ``instances with masks``, …"""

    @property
    def class_count(self) -> int | None:
        """How many classes the outputs speak of (without background); None where they do not say."""

    @property
    def point_names(self) -> tuple[str, ...]:
        """Names of the points of each object; empty where it gives none."""

    @property
    def device_outputs(self) -> tuple[str, ...]:
        """Names of the outputs that it reads where they lie, on a card too; empty: it works in host memory alone."""

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """What to keep of the engine's outputs (batch of one), owned and small.

        The outputs are leases of any strides, with the dtypes of :func:`seen_dtype`. Of those that lie on a device,
        what is kept lies there too; see :mod:`vidgraph.kernels.queued`.
        """

    @property
    def reads(self) -> frozenset[str]:
        """Names of the network's outputs that it reads, or knows as needless beside those; another one is an error."""

    @property
    def gives(self) -> tuple[Key[Any], ...]:
        """The keys of the types of results that :meth:`decode` gives."""

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """Results of one frame.

        Args:
            raw: what :meth:`select_outputs` kept, wherever it lies; ``raw.affine`` maps pixels of the input to the
                frame, ``raw.size`` is the input's (height, width).
            frame: (height, width), displayed pixels.
            choices: the caller's; None is the head's default.
            names: of the classes, by class id.

        Raises:
            EngineError: an output has no finite number at all; see :func:`check_finite`.
        """


class NotSupported(str):
    """An answer of ``fit``: the outputs are this head's, of a kind that it does not read whatever else is said."""

    __slots__ = ()


Fitting = Callable[[Sequence[TensorSpec], Description, Size], Head | str | None]
"""The function ``fit`` of a module of ``heads/``."""


def seen_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which heads see an output: float16 and float64 as float32, whole numbers and truths as int64."""
    return np.dtype(np.float32) if dtype.kind == "f" else np.dtype(np.int64)


def check_finite(name: str, array: NDArray[Any]) -> None:
    """Raise where a network gives no number at all; heads ask it of an output of which they keep nothing.

    Args:
        name: of the output.
        array: what should be numbers, of any shape; nothing is wrong with an empty one.

    Raises:
        EngineError: every element is NaN or infinite.
    """
    if array.dtype.kind != "f" or not array.size or np.isfinite(array[(0,) * array.ndim]) or np.isfinite(array).any():
        return
    raise without_finite(name)


def without_finite(name: str) -> EngineError:
    """The error of an output without a finite number."""
    return EngineError(
        f"output {name!r} has no finite number: all are NaN or infinite; check the weights, "
        "or run it with precision fp32"
    )
