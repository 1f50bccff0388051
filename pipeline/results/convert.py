"""Turns a results file into the formats of other tools, reading it a line at a time."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

from ..claims import output_error, whole_file
from ..errors import OutputError, ResultsError, UsageError, nearest
from ..limits import MAX_PIXELS
from ..types.detections import OBJECT_FIELDS
from .columns import flat
from .convert_youtube_vis import write_youtube_vis
from .format import dumps
from .masks import mask_of
from .reader import FrameRecord, Results, read_results
from .record import PIXEL_DECIMALS, Record

CSV_COLUMNS = (
    "stream", "frame", "time_s", "captured_at", "epoch", "width", "height", "held_from", "model", "class", "class_id",
    "score", "x1", "y1", "x2", "y2", "track", "mask_area", "file",
)  # fmt: skip
"""Columns of the CSV; for each point ``p1_x, p1_y, p1_score, p2_x, …`` follow, then further fields of objects."""
_ABOUT_FRAME = CSV_COLUMNS.index("model")
"""The columns before it say which frame it is."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a cell begins with that spreadsheets take for a formula; the last four are full-width."""


@dataclass(frozen=True, slots=True)
class Converter:
    """One row of :data:`CONVERTERS`: writes results to an open text file whose name ends in ``suffix``."""

    write: Callable[[Results, TextIO], None]
    suffix: str
    description: str


def convert(
    path: str | os.PathLike[str],
    to: str,
    out: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Path:
    """Write a results file in another format.

    Args:
        path: a ``vidgraph.results/1`` file.
        to: a name of :data:`CONVERTERS`.
        out: the file to write; by default beside ``path``, with the suffix of the format.
        overwrite: replace ``out`` if it is there.
        max_pixels: results of larger frames are refused.

    Returns:
        The file written. It appears whole or not at all.

    Raises:
        UsageError: an unknown format.
        ResultsError: ``path`` cannot be read.
        OutputError: ``out`` exists, is written by another process, or cannot be written.
    """
    converter = _converter(to)
    results = read_results(path, max_pixels=max_pixels)
    target = results.path.with_suffix(converter.suffix) if out is None else Path(out)
    _check_free(target, results.path, overwrite)
    with whole_file(target, overwrite=overwrite) as part:
        with part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            _write(converter, results, file)
    return target


def _write(converter: Converter, results: Results, file: TextIO) -> None:
    """
    Raises:
        ResultsError: the results are damaged.
    """
    try:
        converter.write(results, file)
    except ValueError as error:  # a number or a text beyond what JSON or UTF-8 can hold
        raise ResultsError(f"{results.path} holds what cannot be written: {error}") from error


def _check_free(target: Path, source: Path, overwrite: bool) -> None:
    try:
        if not target.exists():
            return
    except OSError as error:
        raise output_error(target, error) from error
    if target.samefile(source):
        raise OutputError(f"cannot write {target}: it is the file being converted; name another one")
    if not overwrite:
        raise OutputError(f"cannot write {target}: it exists; overwrite it (-y, overwrite=True) or name another one")


def _converter(to: str) -> Converter:
    converter = CONVERTERS.get(to.lower())
    if converter is None:
        raise UsageError(f"cannot convert results to {to!r}: {nearest(to.lower(), CONVERTERS, always=True)}")
    return converter


def _write_csv(results: Results, file: TextIO) -> None:
    """One row for each object. Texts that a spreadsheet would run as a formula begin with an apostrophe."""
    if not _write_table(results, file, {}):
        file.seek(0)
        file.truncate()
        _write_table(results, file, _further_columns(results))


def _write_table(results: Results, file: TextIO, further: Mapping[str, int]) -> bool:
    """Write the CSV; ``further`` are its last columns, and False means that an object has others."""
    point_count = max((len(model.get("points", ())) for model in results.header["models"]), default=0)
    points = [f"p{number}_{part}" for number in range(1, point_count + 1) for part in ("x", "y", "score")]
    columns = len(CSV_COLUMNS) + len(points)
    only_model = results.models[0] if len(results.models) == 1 else ""
    writer = csv.writer(file, lineterminator="\n")
    numbered = [f"{name}.{n}" if many > 1 else name for name, many in further.items() for n in range(1, many + 1)]
    writer.writerow([*CSV_COLUMNS, *points, *numbered])
    for record in results:
        height, width = record.size
        values = record.data | {"width": width, "height": height}
        about_frame = [values.get(column, "") for column in CSV_COLUMNS[:_ABOUT_FRAME]]
        for item in record.rows():
            about_object = [item.get(column, "") for column in ("class", "class_id", "score")]
            area = mask_of(record, item)[1] if "mask" in item else ""
            texts = [*about_frame, item.get("model", only_model), *about_object]
            row = [*map(_cell, texts), *item["box"], item.get("track", ""), area, _cell(record.data.get("file", ""))]
            row += chain.from_iterable(item.get("points", ()))
            missing = columns - len(row)
            if missing < 0:
                raise ResultsError(f"{record.where}: {len(item['points'])} points, the header names {point_count}")
            others = _further(item)
            if others and not others.keys() <= further.keys():
                return False
            if missing:
                row += [""] * missing
            for name, many in further.items():
                cells = flat(name, [others[name]]) if name in others else []
                row += [*map(_cell, cells), *[""] * (many - len(cells))]
            writer.writerow(row)
    return True


def _further_columns(results: Results) -> dict[str, int]:
    """The further fields of all objects, and how many columns each needs."""
    found: dict[str, int] = {}
    for record in results:
        for item in record.rows():
            for name, value in _further(item).items():
                found[name] = max(found.get(name, 1), len(flat(name, [value])))
    return found


_NOTHING: Record = {}


def _further(item: Record) -> Record:
    """Fields of an object that the format does not have: columns of detections, and what other types of results say."""
    if item.keys() <= OBJECT_FIELDS:
        return _NOTHING
    return {name: value for name, value in item.items() if name not in OBJECT_FIELDS}


def _cell(value: Any) -> Any:
    """A text that does not begin a formula; other values as they are. Source: OWASP, CSV Injection."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _write_coco(results: Results, file: TextIO) -> None:
    """A COCO data set whose annotations also have scores."""
    categories = _Categories(results.header)
    file.write('{"info":' + dumps({"description": "vidgraph results", "vidgraph": _about(results.header)}))
    file.write(',"categories":' + dumps_list(categories.records))
    file.write(',"images":[')
    names = _ImageNames()
    _write_items(file, (_coco_image(number, record, names) for number, record in enumerate(results, start=1)))
    file.write('],"annotations":[')
    _write_items(file, _coco_annotations(results, categories))
    file.write("]}\n")


def _write_coco_results(results: Results, file: TextIO) -> None:
    """The annotations alone, as ``COCO.loadRes`` reads them; image ids are those of the data set."""
    file.write("[")
    _write_items(file, _coco_annotations(results, _Categories(results.header)))
    file.write("]\n")


def dumps_list(records: Iterable[Record]) -> str:
    """Records as a JSON list."""
    return "[" + ",".join(dumps(record) for record in records) + "]"


def _write_items(file: TextIO, items: Iterable[Record]) -> None:
    between = "\n"
    for item in items:
        file.write(between + dumps(item))
        between = ",\n"


def _about(header: Record) -> Record:
    return {part: header[part] for part in ("format", "models", "settings", "versions") if part in header}


class _Categories:
    """COCO categories: the classes of every model in their order, numbered from 1."""

    def __init__(self, header: Record) -> None:
        self.records: list[Record] = []
        self._first: dict[str, int] = {}
        self._single = len(header["models"]) == 1
        for model in header["models"]:
            self._first[model["name"]] = len(self.records) + 1
            for name in model.get("classes") or [model["name"]]:
                category = {"id": len(self.records) + 1, "name": name, "supercategory": model["name"]}
                points = model.get("points")
                self.records.append(category | ({"keypoints": points, "skeleton": []} if points else {}))

    def of(self, item: Record) -> int:
        """The category of an object; one without a class has its model's first."""
        model = next(iter(self._first)) if self._single else item["model"]
        return self._first[model] + int(item.get("class_id", 0))


class _ImageNames:
    """File names of COCO's images: those of the pictures, and of a video its stream and the frame's number."""

    def __init__(self) -> None:
        self._streams: dict[str, str] = {}

    def of(self, record: FrameRecord) -> str:
        """A picture's name; with its stream before it where an earlier stream had one of that name."""
        if record.file is None:
            return f"{record.stream}/{record.index:06d}.png"
        first = self._streams.setdefault(record.file, record.stream)
        return record.file if first == record.stream else f"{record.stream}/{record.file}"


def _coco_image(number: int, record: FrameRecord, names: _ImageNames) -> Record:
    height, width = record.size
    image = {"id": number, "file_name": names.of(record), "width": width, "height": height}
    extra = ("stream", "frame", "time_s", "captured_at", "held_from", "dropped", "damaged")
    return image | {name: record.data[name] for name in extra if name in record.data}


def _coco_annotations(results: Results, categories: _Categories) -> Iterator[Record]:
    number = 0
    for image, record in enumerate(results, start=1):
        for item in record.rows():
            number += 1
            try:
                category = categories.of(item)
            except (KeyError, StopIteration) as error:
                raise ResultsError(f"{record.where}: an object of a model that the header does not have") from error
            about = {"id": number, "image_id": image, "category_id": category}
            yield _further(item) | about | _coco_annotation(record, item)


def _coco_annotation(record: FrameRecord, item: Record) -> Record:
    x1, y1, x2, y2 = item["box"]
    width, height = round(x2 - x1, PIXEL_DECIMALS), round(y2 - y1, PIXEL_DECIMALS)
    annotation: dict[str, Any] = {"bbox": [x1, y1, width, height], "area": round(width * height, PIXEL_DECIMALS)}
    if "mask" in item:
        annotation["segmentation"], annotation["area"] = mask_of(record, item)
    annotation["iscrowd"] = 0
    if "points" in item:
        flat: list[float] = []
        for x, y, score in item["points"]:
            flat += (x, y, 2) if score > 0 else (0, 0, 0)
        annotation |= {"keypoints": flat, "num_keypoints": flat[2::3].count(2)}
    if "score" in item:
        annotation["score"] = item["score"]
    if "track" in item:
        annotation["track_id"] = item["track"]
    return annotation


CONVERTERS: Mapping[str, Converter] = MappingProxyType(
    {
        "coco": Converter(_write_coco, ".coco.json", "COCO data set with scores: boxes, masks, keypoints"),
        "coco-results": Converter(_write_coco_results, ".coco-results.json", "COCO results: the annotations alone"),
        "youtube-vis": Converter(write_youtube_vis, ".youtube-vis.json", "YouTube-VIS results: masks through a video"),
        "csv": Converter(_write_csv, ".csv", "a table with one row for each object"),
    }
)
"""What results can be converted to: one row for each format."""
