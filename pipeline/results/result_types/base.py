"""What a type of results is: one object that the writer, the reader, the converters and the drawing ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from ...drawing.canvas import Stroke
from ...drawing.style import DrawStyle
from ...packet import Key
from ...types.picture import Picture
from ..masks import ReadFrame
from ..parse_json import shown
from ..record import Record

T = TypeVar("T")


class ResultType(Generic[T]):
    """A row of ``RESULT_TYPES``; everything but ``key``, ``field``, ``schema`` and ``write`` has a default.

    In a line, the results of a type are a list of records under ``field``; with several models in a run, each
    record says its ``model``, which is added here for all types.

    Attributes:
        key: the key of such results in a packet, and their name; a second model has another key of the same class.
        field: of the line; types may share one, and later rows then add to what earlier ones wrote.
        schema: JSON Schema of a record; the types of one field give its parts.
        what: the records, in messages; default: ``field``.
        creator: what gives such results, in the cure of a message.
        drawable: something of it can be seen.
        marked: the header's model has ``name: true`` where it gives such results, so that a reader knows it before
            the first frame.
        suffix: of the file beside the results that :meth:`save` writes of each value: such a type has one record in
            a line, whose ``file`` names it, and :meth:`read` finds its path there. Empty: all is in the line.
    """

    key: Key[T]
    field: str
    schema: Mapping[str, Any]
    what: str = ""
    creator: str = "a stage that creates it"
    drawable: bool = True
    marked: bool = True
    suffix: str = ""

    def write(self, items: list[Record], value: T) -> None:
        """Add the records of ``value`` to ``items``: plain texts, numbers, lists and mappings."""
        raise NotImplementedError

    def save(self, path: Path, value: T) -> None:
        """Write what does not go into the line, where there is a ``suffix``; raises OSError."""
        raise NotImplementedError

    def recorded(self, model: Record) -> bool:
        """Whether a file has results of this type that can be read back, by its header's ``model``."""
        return self.marked and bool(model.get(self.key.name))

    def read(self, items: list[Record] | None, model: Record, size: tuple[int, int]) -> T | None:
        """What :meth:`write` was given; None where there is nothing of it.

        Args:
            items: of one model; None: the line does not have the field.
            model: of the header.
            size: (height, width) of the frame.

        Raises:
            KeyError, TypeError, ValueError, IndexError: they do not fit the format; the file and line are added.
        """
        return None

    def rows(self, record: ReadFrame, items: list[Record]) -> Iterable[Record]:
        """The objects that converters (CSV, COCO) make of the records of all models: with a ``box``; errors as above.

        Fields that objects of the format do not have become columns of the CSV and fields of the annotations.
        """
        return ()

    def draw(self, value: T, style: DrawStyle) -> Iterator[Stroke]:
        """What to draw on the frame, each on its layer; nothing where there is nothing to see."""
        return iter(())

    def picture(self, value: T) -> Picture | None:
        """A picture of any size that is shown in place of the frame's own."""
        return None

    def shown_size(self, items: list[Record]) -> tuple[int, int] | None:
        """(height, width) of :meth:`picture`, by the records; None where it gives none."""
        return None

    def summary(self, value: T) -> list[str]:
        """What there is, for a ``repr``: as in ``["2 car", "1 person"]``."""
        return []


def file_of(items: list[Record] | None, suffix: str) -> Path | None:
    """The file of the one record of a type with a ``suffix``; None where there is no record.

    Raises:
        ValueError: it has no file, or one of another suffix.
    """
    if not items:
        return None
    path = items[0].get("file")
    if path is None:
        raise ValueError("it names no file, as lines on standard output; write results to a .jsonl file")
    if Path(path).suffix != suffix:
        raise ValueError(f"its file must be {suffix}, got {path}")
    return Path(path)


def whole_frame(
    record: ReadFrame, items: list[Record], columns: Mapping[str, str], file_column: str | None
) -> Iterator[Record]:
    """Objects that are the whole frame: a converter's rows of what belongs to no object.

    Args:
        columns: fields of the records -> the columns that they become.
        file_column: that of ``file``, which a record may have.
    """
    height, width = record.size
    for item in items:
        if not isinstance(item.get("file", ""), str):
            raise TypeError(f"file cannot be {shown(item['file'])}")
        row: Record = {"box": [0, 0, width, height]} | ({"model": item["model"]} if "model" in item else {})
        row |= {column: item[name] for name, column in columns.items()}
        yield row | ({file_column: item["file"]} if file_column and "file" in item else {})
