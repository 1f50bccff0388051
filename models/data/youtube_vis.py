"""YouTube-VIS: videos, and objects with a mask, or none, for each frame. OVIS and others are laid out like it.

Source: Yang et al., Video Instance Segmentation, ICCV 2019: ``videos`` with ``file_names``, ``annotations`` with
``segmentations`` and ``bboxes``, one or null for each frame of the video; images in ``JPEGImages``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ...pipeline.errors import SourceError
from ...pipeline.truth import Truth
from .address import Address
from .coco import Record
from .dataset import Clip
from .files import FileDataset, FrameFile, boxes_of, choose_folder, reading, things
from .segmentation import masks_of


def open_youtube_vis(address: Address) -> FileDataset:
    """Open ``youtube-vis:FILE.json``.

    Options: ``images=FOLDER``. The track of an object is the id of its annotation. A file without annotations, as the
    test sets are published, gives frames that are not annotated.

    Raises:
        SourceError: a file is missing or damaged.
    """
    document = address.json()
    with reading(address.name):
        ordered = sorted(document["categories"], key=lambda one: int(one["id"]))
        class_of = {int(one["id"]): row for row, one in enumerate(ordered)}
        class_names = tuple(str(one["name"]) for one in ordered)
        videos = list(document["videos"])
        annotations = document.get("annotations")
    of_video = _by_video(annotations or (), videos, class_of, address.name)
    clips, frames = [], {}
    for number, video in enumerate(videos):
        with reading(f"{address.name}: video {number}"):
            files = [str(name) for name in video["file_names"]]
            clip = Clip(_clip_name(files), len(files), (int(video["height"]), int(video["width"])))
            objects = of_video[video["id"]]
        if clip.name in frames or not files:
            raise SourceError(f"{address.name}: video {number} has no frames, or the folder of another one")
        clips.append(clip)
        reader = partial(_truth, f"{address.name}: video {clip.name}", objects, class_of, class_names, clip.size)
        frames[clip.name] = [(name, partial(reader, place)) for place, name in enumerate(files)]
    root = address.path.parent
    if "images" in address.options or not clips:
        root = address.folder("images", root)
    else:
        root = choose_folder(
            [root / "JPEGImages", root, root.parent / "JPEGImages", root / address.path.stem / "JPEGImages"],
            frames[clips[0].name][0][0],
            name=address.name,
        )
    files_of = {
        name: [FrameFile(root / file, truth, annotations is not None) for file, truth in several]
        for name, several in frames.items()
    }
    return FileDataset(address.name, class_names, (), tuple(clips), files_of)


def _clip_name(files: Sequence[str]) -> str:
    """The folder that the frames of a video are in; the first frame where they are in none."""
    return files[0].rpartition("/")[0] or files[0] if files else ""


def _by_video(
    annotations: Sequence[Record], videos: Sequence[Record], class_of: dict[int, int], name: str
) -> dict[Any, list[Record]]:
    """Video id -> annotations.

    Raises:
        SourceError: an annotation names a video or category that is not there, or has not one mask for each frame.
    """
    of_video: dict[Any, list[Record]] = {}
    lengths = {}
    for number, video in enumerate(videos):
        with reading(f"{name}: video {number}"):
            of_video[video["id"]] = []
            lengths[video["id"]] = len(video["file_names"])
    for number, one in enumerate(annotations):
        with reading(f"{name}: annotation {number}"):
            if one["video_id"] not in of_video:
                raise ValueError(f"there is no video with the id {one['video_id']!r}")
            if one["category_id"] not in class_of:
                raise ValueError(f"there is no category with the id {one['category_id']!r}")
            if len(one["segmentations"]) != lengths[one["video_id"]]:
                raise ValueError(f"{len(one['segmentations'])} masks for {lengths[one['video_id']]} frames")
            int(one["id"])
            of_video[one["video_id"]].append(one)
    return of_video


def _truth(
    where: str,
    objects: Sequence[Record],
    class_of: dict[int, int],
    class_names: tuple[str, ...],
    size: tuple[int, int],
    place: int,
) -> Truth:
    """The objects with a mask in the frame at ``place``; boxes as given, or around the mask."""
    with reading(f"{where}, frame {place}"):
        seen = [one for one in objects if one["segmentations"][place]]
        masks = masks_of([one["segmentations"][place] for one in seen], size)
        boxes = masks.boxes.astype(np.float32)
        given = {row: one["bboxes"][place] for row, one in enumerate(seen) if one.get("bboxes")}
        rows = [row for row, box in given.items() if box]
        boxes[rows] = boxes_of([given[row] for row in rows])
        return Truth(
            things(
                boxes,
                [class_of[one["category_id"]] for one in seen],
                class_names,
                masks=masks,
                track_ids=[int(one["id"]) for one in seen],
            ),
            np.array([bool(one.get("iscrowd", 0)) for one in seen], np.bool_),
            np.full(len(seen), -1, np.float32),
        )
