"""A network's raw outputs in results: their names and shapes; ``.npz`` files keep the values."""

from __future__ import annotations

from ...packet import TENSORS
from ...types.tensors import Tensors
from ..record import Record
from .base import ResultType


class TensorResults(ResultType[Tensors]):
    """See :class:`.base.ResultType`."""

    key = TENSORS
    field = "tensors"
    drawable = False
    marked = False
    schema = {
        "required": ["name", "dtype", "shape"],
        "properties": {
            "name": {"type": "string", "description": "Of the network's output; the values are not in this file."},
            "dtype": {"type": "string", "description": "As NumPy calls it, as in float32."},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        },
    }

    def write(self, items: list[Record], value: Tensors) -> None:
        """What the network gave, without the values."""
        items += (
            {"name": name, "dtype": array.dtype.name, "shape": list(array.shape)}
            for name, array in value.arrays.items()
        )

    def summary(self, value: Tensors) -> list[str]:
        """Each by name and shape."""
        return [f"{name} {list(array.shape)}" for name, array in value.arrays.items()]
