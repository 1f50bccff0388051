"""Embeddings in results: the vector in the line."""

from __future__ import annotations

from collections.abc import Iterable

from ...packet import EMBEDDING
from ...types.embedding import Embedding
from ..check import numbers
from ..columns import cells_of
from ..masks import ReadFrame
from ..record import Record
from .base import ResultType, whole_frame


class EmbeddingResults(ResultType[Embedding]):
    """See :class:`.base.ResultType`."""

    key = EMBEDDING
    field = "embeddings"
    creator = "a model that gives embeddings"
    drawable = False
    schema = {
        "required": ["values"],
        "properties": {"values": {"type": "array", "items": {"type": "number"}, "description": "Of length 1."}},
    }

    def write(self, items: list[Record], value: Embedding) -> None:
        """The vector, with as many digits as float32 has."""
        items.append({"values": cells_of("embedding", value.values)})

    def read(self, items: list[Record] | None, model: Record, size: tuple[int, int]) -> Embedding | None:
        """The vector."""
        return Embedding(numbers("an embedding", items[0]["values"])) if items else None

    def rows(self, record: ReadFrame, items: list[Record]) -> Iterable[Record]:
        """The whole frame, with the vector."""
        for item in items:
            numbers("an embedding", item["values"])
        return whole_frame(record, items, {"values": "embedding"}, None)

    def summary(self, value: Embedding) -> list[str]:
        """Its length."""
        return [f"an embedding of {len(value.values)}"]
