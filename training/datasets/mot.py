"""MOTChallenge: a folder for each sequence, with ``gt/gt.txt``, ``seqinfo.ini`` and numbered images in ``img1``.

A line of ``gt.txt`` is ``frame, track, left, top, width, height, counts, class, visibility``. Frames, left and top
count from 1, as the challenge's own tools take them; ``counts`` is 0 for what is to be ignored. The classes are
those of the challenge, unless ``gt/labels.txt`` names others, one a line, as CVAT writes it.

Source: Milan et al., MOT16: A Benchmark for Multi-Object Tracking, 2016; MOT15 has ten columns and one class.
"""

from __future__ import annotations

import configparser
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...pipeline.errors import SourceError
from ...pipeline.ground_truth import GroundTruth
from ...pipeline.limits import too_large
from ...stages.sources.images import images_in, natural_key
from .address import Address
from .dataset import Clip
from .files import FileDataset, FrameFile, boxes_of, finite, picture_path, reading, things
from .image_files import image_size

MOT_CLASSES = (
    "pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non motorized vehicle", "static person",
    "distractor", "occluder", "occluder on the ground", "occluder full", "reflection", "crowd",
)  # fmt: skip
"""The classes of MOT16, MOT17 and MOT20, numbered from 1."""

_COLUMNS_2015 = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One line of ``gt.txt``: the box as x, y, width, height; ``visible`` is -1 where it is not known."""

    track: int
    box: tuple[float, float, float, float]
    counts: bool
    class_id: int
    visible: float


def open_mot(address: Address) -> FileDataset:
    """Open ``mot:FOLDER``: one sequence, or a folder of sequences. A sequence without ``gt`` is not annotated.

    Raises:
        SourceError: a file is missing or damaged, or there is no sequence.
    """
    folders = sequence_folders(address.path)
    if not folders:
        raise SourceError(f"{address.name}: {address.path} has no sequence with img1 and seqinfo.ini or gt/gt.txt")
    class_names = _class_names(folders)
    clips, frames = [], {}
    for folder in folders:
        clip, images = _sequence(folder, address)
        rows = read_rows(folder / "gt" / "gt.txt", clip.frames, len(class_names))
        clips.append(clip)
        frames[clip.name] = [
            FrameFile(image, partial(_truth, rows.get(number, []), class_names, folder), bool(rows))
            for number, image in enumerate(images, start=1)
        ]
    return FileDataset(address.name, class_names, (), tuple(clips), frames, address.max_pixels)


def sequence_folders(folder: Path) -> list[Path]:
    """``folder`` if it is a sequence, or else those in it that are."""
    if _is_sequence(folder):
        return [folder]
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted((one for one in inside if _is_sequence(one)), key=natural_key)


def _is_sequence(folder: Path) -> bool:
    return (folder / "seqinfo.ini").is_file() or (folder / "gt" / "gt.txt").is_file()


def _class_names(folders: Sequence[Path]) -> tuple[str, ...]:
    """
    Raises:
        SourceError: the sequences name different classes.
    """
    found = set()
    for folder in folders:
        labels = folder / "gt" / "labels.txt"
        names = _lines(labels) if labels.is_file() else MOT_CLASSES
        found.add(tuple(name.strip() for name in names if name.strip()))
    if len(found) > 1:
        raise SourceError(f"the sequences in {folders[0].parent} name different classes in gt/labels.txt")
    return found.pop()


def _lines(path: Path) -> list[str]:
    """The lines of a text.

    Raises:
        SourceError: it cannot be read, or is no UTF-8.
    """
    try:
        return path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise SourceError(f"cannot read {path}: {reason}") from error


def _sequence(folder: Path, address: Address) -> tuple[Clip, list[Path]]:
    """What ``seqinfo.ini`` says; without one, the images that there are.

    Raises:
        SourceError: it is damaged, or there are no images, or fewer than it says.
    """
    info = folder / "seqinfo.ini"
    if not info.is_file():
        images = images_in(folder / "img1")
        return Clip(folder.name, len(images), image_size(images[0])), images
    parser = configparser.ConfigParser(interpolation=None)
    with reading(str(info)):
        try:
            parser.read_string("\n".join(_lines(info)))
        except configparser.Error as error:
            raise ValueError(" ".join(str(error).split())) from error
        values = parser["Sequence"]
        count, size = int(values["seqLength"]), (int(values["imHeight"]), int(values["imWidth"]))
        root = picture_path(folder, values.get("imDir", "img1"), address)
        suffix = picture_path(Path(), values.get("imExt", ".jpg"), address).name
        rate = float(values.get("frameRate", "0"))
        if count < 1 or min(size) < 1 or not 0 <= rate < math.inf:
            raise ValueError("seqLength, imWidth and imHeight must be at least 1, frameRate at least 0")
        if size[0] * size[1] > address.max_pixels:
            raise too_large(str(info), size, address.max_pixels)
        there = sum(1 for _ in root.iterdir()) if root.is_dir() else 0
        if count > there:
            names = (f"{number:06d}{suffix}" for number in range(1, there + 2))
            missing = next(name for name in names if not (root / name).is_file())
            raise ValueError(f"seqLength is {count}, and {root} has no {missing}")
    return Clip(folder.name, count, size, rate), [root / f"{number:06d}{suffix}" for number in range(1, count + 1)]


def read_rows(path: Path, frames: int, classes: int) -> dict[int, list[Row]]:
    """Frame number, from 1 -> lines of ``gt.txt``; nothing where there is no such file.

    Raises:
        SourceError: a line is damaged, or of a frame or class that is not there.
    """
    rows: dict[int, list[Row]] = {}
    if not path.is_file():
        return rows
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        with reading(f"{path}:{number}"):
            values = [float(value) for value in line.split(",")]
            frame, row = _row(values, classes)
            if not 1 <= frame <= frames:
                raise ValueError(f"frame {frame} of a sequence of {frames}")
            rows.setdefault(frame, []).append(row)
    return rows


def _row(values: Sequence[float], classes: int) -> tuple[int, Row]:
    if len(values) < 6 or not all(map(math.isfinite, values)):
        raise ValueError(f"a line has six to ten numbers, got {len(values)}")
    frame, track, left, top, width, height, *rest = values
    if len(values) == _COLUMNS_2015:  # with world coordinates in place of class and visibility
        rest = rest[:1]
    counts, label, visible = (*rest, *(1.0, 1.0, -1.0)[len(rest) :])[:3]
    if not 1 <= label <= classes:
        raise ValueError(f"class {label:g}, and there are {classes}")
    return int(frame), Row(int(track), (left - 1, top - 1, width, height), counts > 0, int(label) - 1, visible)


def _truth(rows: Sequence[Row], class_names: tuple[str, ...], folder: Path) -> GroundTruth:
    with reading(f"{folder / 'gt' / 'gt.txt'}"):
        objects = things(
            boxes_of([row.box for row in rows]),
            [row.class_id for row in rows],
            class_names,
            track_ids=[row.track for row in rows],
        )
        ignored = np.array([not row.counts for row in rows], np.bool_)
        hidden = finite("visibility", [1 - row.visible if row.visible >= 0 else -1 for row in rows])
        return GroundTruth(objects, ignored, hidden)
