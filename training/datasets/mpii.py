"""MPII Human Pose: people with 16 joints, from the JSON that pose networks train on; its .mat file is not read.

Two layouts are in use. HRNet and Simple Baselines: ``image``, ``center``, ``scale``, ``joints`` ``[x, y]`` and
``joints_vis`` (1: annotated). Stacked Hourglass: ``img_paths``, ``objpos``, ``scale_provided``, ``joint_self``
``[x, y, visible]`` and ``isValidation``. Positions count from 1; what is read here counts from 0.

Sources: Andriluka et al., CVPR 2014; Xiao et al., ECCV 2018; Newell et al., ECCV 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...pipeline.ground_truth import MPII_JOINTS, GroundTruth
from ...pipeline.types.landmarks import Landmarks
from .address import Address
from .coco import Record
from .dataset import Clip
from .files import FileDataset, FrameFile, boxes_of, choose_folder, finite, picture_path, reading, things, unique_names
from .image_files import image_size

PERSON_PX = 200.0
"""Height of a person of scale 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One person: joints x, y and score [16, 3]; box x, y, width, height."""

    image: str
    joints: NDArray[np.float32]
    box: tuple[float, float, float, float]
    annotated: bool


def open_mpii(address: Address) -> FileDataset:
    """Open ``mpii:FILE.json``; every image is a clip, its people have the class ``person`` and no masks.

    Options: ``images=FOLDER``; ``split``: ``all``, ``train`` or ``val`` of a file of Stacked Hourglass. A person's
    box is the square of 200 times the scale around the centre, as networks crop it; it may reach out of the frame.

    Raises:
        SourceError: a file is missing or damaged.
    """
    split = address.choice("split", "all", "train", "val")
    records = address.json()
    people: dict[str, list[Person]] = {}
    with reading(address.name):
        if not isinstance(records, list):
            raise TypeError(f"it must be a list of people, got {type(records).__name__}")
    for number, record in enumerate(records):
        with reading(f"{address.name}: person {number}"):
            if split != "all" and bool(record["isValidation"]) != (split == "val"):
                continue
            person = _person(record)
            picture_path(address.path.parent, person.image, address)
            boxes_of([person.box])
            people.setdefault(person.image, []).append(person)
    folder = address.path.parent
    near = [folder / "images", folder.parent / "images", folder]
    root = choose_folder(address, near, next(iter(people), None))
    clips, frames = [], {}
    with reading(f"{address.name}: the names of its images"):
        names = unique_names(list(people))
    for name, (image, several) in zip(names, people.items(), strict=True):
        clips.append(Clip(name, 1, image_size(root / image)))
        annotated = all(person.annotated for person in several)
        frames[name] = [FrameFile(root / image, partial(_truth, several), annotated)]
    return FileDataset(address.name, ("person",), (), tuple(clips), frames, address.max_pixels)


def _person(record: Record) -> Person:
    hourglass = "joint_self" in record
    image = str(record["img_paths"] if hourglass else record["image"])
    x, y = (float(value) - 1 for value in record["objpos" if hourglass else "center"])
    side = PERSON_PX * float(record["scale_provided" if hourglass else "scale"])
    box = (x - side / 2, y - side / 2, side, side)
    joints = np.zeros((len(MPII_JOINTS), 3), np.float32)
    annotated = hourglass or "joints" in record
    if hourglass:
        given = finite("joint_self", record["joint_self"])
        known = (given[:, :2] != 0).any(axis=1)
        scores = np.where(given[:, 2] > 0, 1.0, 0.5)
    elif annotated:
        given = finite("joints", record["joints"])
        known, scores = np.array(record["joints_vis"]) > 0, np.ones(len(given))
    if annotated:
        if given.ndim != 2 or given.shape[1] < 2:
            raise ValueError("a joint is x, y")
        if len(given) != len(joints) or len(known) != len(joints):
            raise ValueError(f"a person has {len(joints)} joints, got {len(given)}")
        joints[:, :2], joints[:, 2] = given[:, :2] - 1, scores
        joints[~known] = 0
    return Person(image, joints, box, annotated)


def _truth(people: Sequence[Person]) -> GroundTruth:
    boxes = boxes_of([person.box for person in people])
    joints = np.stack([person.joints for person in people])
    bodies = Landmarks(
        np.ascontiguousarray(joints[:, :, :2]),
        np.ascontiguousarray(joints[:, :, 2]),
        boxes,
        MPII_JOINTS,
        np.arange(len(people), dtype=np.int32),
        np.full(len(people), -1, np.int32),
    )
    return replace(GroundTruth.of(things(boxes, [0] * len(people), ("person",))), bodies=bodies)
