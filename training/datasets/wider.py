"""WIDER FACE: faces with boxes, in the lists of its authors, or with five points, in those of RetinaFace's.

Sources: Yang et al., WIDER FACE, CVPR 2016: ``wider_face_split/wider_face_val_bbx_gt.txt`` has for each image its
name, the number of faces, and for each ``x y w h blur expression illumination invalid occlusion pose`` (a line of zeros
where there is none). Deng et al., RetinaFace, CVPR 2020: ``label.txt`` has ``# name`` and for each face ``x y w h``,
then five times ``x y hidden`` (-1: not known), then a number for blur.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ...pipeline.errors import SourceError
from ...pipeline.ground_truth import FACE_POINTS, GroundTruth
from ...pipeline.types.landmarks import Landmarks
from .address import Address
from .dataset import Clip
from .files import FileDataset, FrameFile, boxes_of, choose_folder, finite, picture_path, reading, things, unique_names
from .image_files import image_size

_INVALID = 7  # column of the authors' lists
_FIRST_POINT, _POINT_COLUMNS = 4, 3
_NOT_KNOWN = (-1.0, -1.0, -1.0) * len(FACE_POINTS)


@dataclass(frozen=True, slots=True)
class Face:
    """One face: x, y, width, height; for each point x, y and whether it is hidden (negative: not known)."""

    box: tuple[float, ...]
    points: tuple[float, ...]
    ignored: bool


def open_wider(address: Address) -> FileDataset:
    """Open ``wider:LIST.txt``, of either kind; every image is a clip, the faces are in ``GroundTruth.faces``.

    Options: ``images=FOLDER``, by default ``WIDER_SPLIT/images`` or ``images`` near the list. Faces that the list calls
    invalid are ignored, those without an area left out.

    Raises:
        SourceError: a file is missing or damaged.
    """
    try:
        lines = address.path.read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SourceError(f"cannot read {address.path}: {reason}") from error
    parse = _retinaface_lists if lines and lines[0].startswith("#") else _wider_lists
    faces = dict(parse(lines, str(address.path)))
    if not faces:
        raise SourceError(f"{address.path} names no image")
    with reading(f"{address.path}: the names of its images"):
        for file in faces:
            picture_path(address.path.parent, file, address)
        names = unique_names(list(faces))
    root = _images(address, next(iter(faces)))
    clips, frames = [], {}
    for name, (file, found) in zip(names, faces.items(), strict=True):
        clips.append(Clip(name, 1, image_size(root / file)))
        frames[name] = [FrameFile(root / file, partial(_truth, f"{address.path}: {file}", found))]
    return FileDataset(address.name, (), (), tuple(clips), frames, address.max_pixels)


def _images(address: Address, first: str) -> Path:
    folder = address.path.parent
    split = next((s for s in ("train", "val", "test") if s in address.path.stem or s == folder.name), "val")
    near = [folder / "images", folder.parent / f"WIDER_{split}" / "images", folder]
    return choose_folder(address, near, first)


def _wider_lists(lines: Sequence[str], path: str) -> Iterator[tuple[str, list[Face]]]:
    place = 0
    while place < len(lines):
        name = lines[place].strip()
        if not name:
            place += 1
            continue
        with reading(f"{path}:{place + 2}"):
            count = int(lines[place + 1])
            if not 0 <= count <= len(lines) - place - 2:
                raise ValueError(f"{count} faces, and {len(lines) - place - 2} lines are left")
        faces = []
        for number in range(place + 2, place + 2 + max(count, 1)):
            with reading(f"{path}:{number + 1}"):
                if count == 0 and (number >= len(lines) or any(map(float, lines[number].split()))):
                    break  # a list without the line of zeros
                values = _numbers(lines[number], 4)
                faces.append(Face(values[:4], _NOT_KNOWN, len(values) > _INVALID and values[_INVALID] > 0))
        yield name, [face for face in faces if min(face.box[2:]) > 0]
        place += 2 + len(faces)


def _retinaface_lists(lines: Sequence[str], path: str) -> Iterator[tuple[str, list[Face]]]:
    name, faces = "", list[Face]()
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
            if name:
                yield name, faces
            name, faces = line[1:].strip(), []
        elif line.strip():
            with reading(f"{path}:{number}"):
                values = _numbers(line, 4)
                end = _FIRST_POINT + _POINT_COLUMNS * len(FACE_POINTS)
                points = values[_FIRST_POINT:end] if len(values) >= end else _NOT_KNOWN
                if min(values[2:4]) > 0:
                    faces.append(Face(values[:4], points, ignored=False))
    if name:
        yield name, faces


def _numbers(line: str, at_least: int) -> tuple[float, ...]:
    values = tuple(float(value) for value in line.split())
    if len(values) < at_least or not all(map(math.isfinite, values)):
        raise ValueError(f"a face has {at_least} or more numbers, got {line.strip()[:40]!r}")
    return values


def _truth(where: str, faces: Sequence[Face]) -> GroundTruth:
    with reading(where):
        each = finite("points", [face.points for face in faces]).reshape(len(faces), len(FACE_POINTS), 3)
        known = each[:, :, 2] >= 0
        landmarks = Landmarks(
            np.where(known[:, :, None], each[:, :, :2], 0).astype(np.float32),
            np.where(known, np.where(each[:, :, 2] > 0, 0.5, 1.0), 0).astype(np.float32),
            boxes_of([face.box for face in faces]),
            FACE_POINTS,
            np.full(len(faces), -1, np.int32),
            np.full(len(faces), -1, np.int32),
        )
        nothing = GroundTruth.of(things(np.zeros((0, 4), np.float32), [], ()))
        ignored = np.array([face.ignored for face in faces], np.bool_)
        return replace(nothing, faces=landmarks, faces_ignored=ignored)
