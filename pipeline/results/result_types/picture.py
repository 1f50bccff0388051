"""Pictures that a network gives, in results: their size; video and images keep the pixels."""

from __future__ import annotations

from ...packet import PICTURE
from ...types.picture import Picture
from ..check import check_count
from ..record import Record
from .base import ResultType


class PictureResults(ResultType[Picture]):
    """See :class:`.base.ResultType`."""

    key = PICTURE
    field = "pictures"
    creator = "a model that gives pictures"
    schema = {
        "required": ["size"],
        "properties": {"size": {"$ref": "#/$defs/size", "description": "The pixels are not in this file."}},
    }

    def write(self, items: list[Record], value: Picture) -> None:
        """The size."""
        items.append({"size": [value.width, value.height]})

    def recorded(self, model: Record) -> bool:
        """Never: the pixels are in video and images."""
        return False

    def picture(self, value: Picture) -> Picture:
        """It is shown in place of the frame."""
        return value

    def shown_size(self, items: list[Record]) -> tuple[int, int] | None:
        """Its size."""
        if not items:
            return None
        width, height = items[0]["size"]
        check_count("size", width)
        check_count("size", height)
        return height, width

    def summary(self, value: Picture) -> list[str]:
        """Its size."""
        return [f"a picture of {value.width}x{value.height}"]
