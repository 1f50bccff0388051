"""Alpha mattes in results: their share of the frame in the line, the values in a picture file beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ...drawing.behind import draw_behind
from ...drawing.canvas import Layer, Stroke
from ...drawing.style import DrawStyle
from ...packet import MATTE
from ...types.maps import AlphaMatte
from ..map_files import load_gray, save_gray
from ..masks import ReadFrame
from ..record import SCORE_DECIMALS, Record
from .base import ResultType, file_of, whole_frame


class MatteResults(ResultType[AlphaMatte]):
    """See :class:`.base.ResultType`."""

    key = MATTE
    field = "mattes"
    what = "mattes"
    creator = "a model that cuts out the foreground"
    suffix = ".png"
    schema = {
        "required": ["share"],
        "properties": {
            "share": {"$ref": "#/$defs/score", "description": "Of the frame that is foreground."},
            "file": {"type": "string", "minLength": 1, "description": "Gray PNG; 255 is foreground."},
        },
    }

    def write(self, items: list[Record], value: AlphaMatte) -> None:
        """The share."""
        items.append({"share": round(value.share, SCORE_DECIMALS)})

    def save(self, path: Path, value: AlphaMatte) -> None:
        """The values."""
        save_gray(path, value.alpha)

    def read(self, items: list[Record] | None, model: Record, size: tuple[int, int]) -> AlphaMatte | None:
        """The matte, of its file."""
        path = file_of(items, self.suffix)
        return None if path is None else AlphaMatte(load_gray(path, size))

    def rows(self, record: ReadFrame, items: list[Record]) -> Iterable[Record]:
        """The whole frame, with the share and the file."""
        return whole_frame(record, items, {"share": "matte_share"}, "matte_file")

    def draw(self, value: AlphaMatte, style: DrawStyle) -> Iterator[Stroke]:
        """The style's background behind the foreground."""
        yield Layer.SURFACE, lambda canvas: draw_behind(canvas, value.alpha, style.background)

    def summary(self, value: AlphaMatte) -> list[str]:
        """The share."""
        return [f"{value.share:.0%} foreground"]
