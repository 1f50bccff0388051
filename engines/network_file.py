"""What the file of a network says of itself, whichever format it has.

ONNX files are read by :mod:`.onnx_file`; OpenVINO's own and those of TensorFlow Lite by OpenVINO, in
:mod:`.openvino_file`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

ONNX, PROGRAM, IR, TFLITE = ".onnx", ".pt2", ".xml", ".tflite"
"""Suffixes of the kinds of networks: ONNX files, exported programs of torch, OpenVINO IR, TensorFlow Lite files."""

WEIGHTS = ".bin"
"""Suffix of the file beside an OpenVINO IR in which its weights are."""

TITLES = MappingProxyType({ONNX: "an ONNX file", IR: "an OpenVINO IR", TFLITE: "a TensorFlow Lite file"})
"""Suffix of what can be a custom model -> what it is, for messages."""

Shape: TypeAlias = tuple[int | str | None, ...]
"""Lengths; a text where the file only names one, None where it says nothing."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output as the file declares it; ``shape`` is None where even the rank is open."""

    name: str
    dtype: str
    shape: Shape | None

    @property
    def fixed(self) -> bool:
        """Whether every length is a number."""
        return self.shape is not None and all(isinstance(length, int) for length in self.shape)

    def __str__(self) -> str:
        return f"{self.name} ({self.dtype} {shape_text(self.shape)})"


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """What a file says of itself.

    Attributes:
        inputs: what must be fed; initial values are none, even where the file lists them.
        outputs: in the order of the file.
        metadata: of an ONNX file its ``metadata_props``.
        version: of the format: ``opset 17``.
        external_files: names, relative to the file, of further files that hold weights.
        producer: what wrote the file.
        parameters: elements of all its weights.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    metadata: dict[str, str]
    version: str
    external_files: tuple[str, ...]
    producer: str
    parameters: int

    @property
    def fixed(self) -> bool:
        """Whether all inputs and outputs have fixed shapes."""
        return all(each.fixed for each in (*self.inputs, *self.outputs))


def kind_of(path: Path) -> str:
    """The kind of network that a file is by its name: a suffix, ``.onnx`` where it is none of the others."""
    suffix = path.suffix.lower()
    return suffix if suffix in (PROGRAM, IR, TFLITE) else ONNX


def is_network(path: Path) -> bool:
    """Whether ``path`` is meant as a file that can be a custom model."""
    return path.suffix.lower() in TITLES


def shape_text(shape: Shape | None) -> str:
    """``[1, 3, height, ?]``; ``of any shape`` where the rank is open."""
    if shape is None:
        return "of any shape"
    return "[" + ", ".join("?" if length is None else str(length) for length in shape) + "]"
