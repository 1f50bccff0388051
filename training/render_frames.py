"""Making a :class:`.frame_cache.FrameCache`: in parts, by several processes, and going on where it was interrupted."""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engines.cache import cache_root
from ..kernels import preprocess
from ..pipeline.errors import OutputError, SourceError
from ..pipeline.execution.threads import end_with_parent
from ..pipeline.types.masks import Masks
from ..pipeline.types.picture import Picture, Size
from .datasets.dataset import DataSample, Dataset
from .frame_cache import DESCRIPTION, FACE_ARRAYS, FLOW_SHRINK, FORMAT, FRAME_ARRAYS, OBJECT_ARRAYS, FrameCache

LOG = logging.getLogger("vidgraph")
PART_FRAMES = 64
"""Frames that are rendered before what was done is recorded, at least."""

Arrays = dict[str, NDArray[Any]]
Opened = Callable[[], Dataset]


def frame_cache(
    address: str,
    size: Size,
    *,
    processes: int = 1,
    folder: Path | None = None,
    dataset: Dataset | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FrameCache:
    """The cache of a data set: opened, or (where it is missing or not whole) made.

    Args:
        address: of the data set, for :func:`.datasets.registry.open_dataset`.
        size: (height, width) of the frames, pixels; even. Frames fill it whatever their aspect.
        processes: that render at the same time; 1 renders in this one.
        folder: where it is kept; by default below ``frames`` of the package's cache, by the data set and ``size``.
        dataset: what ``address`` opens, where it is open already; with several ``processes`` each opens it again.
        progress: is told frames done and frames in all.

    Raises:
        OutputError: the disk has no room for the frames.
        SourceError: the data set cannot be read or has no frames.
    """
    from .datasets.registry import open_dataset

    opened = dataset if dataset is not None else open_dataset(address)
    if folder is None:
        folder = cache_root() / "frames" / fingerprint(opened, address, size)
    if not (folder / DESCRIPTION).is_file():
        _render(opened, address, size, folder, processes=processes, progress=progress)
    return FrameCache(folder)


def fingerprint(dataset: Dataset, address: str, size: Size) -> str:
    """The name of the folder: tells apart data sets, their versions, sizes and layouts."""
    clips = [(clip.name, clip.frames, clip.size) for clip in dataset.clips]
    path = Path(address.partition(":")[2].partition("?")[0] or address)
    changed = path.stat().st_mtime_ns if path.is_file() else 0
    version = getattr(dataset, "version", "")
    text = repr((FORMAT, address, changed, version, dataset.class_names, size, clips))
    plain = "".join(letter if letter.isalnum() else "-" for letter in dataset.name)[:40]
    return f"{plain}-{size[1]}x{size[0]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive clips that one process renders.

    Attributes:
        number: of the part.
        clips: first clip and one past the last.
        start: number of the first frame.
        frames: how many.
    """

    number: int
    clips: tuple[int, int]
    start: int
    frames: int


def parts_of(dataset: Dataset) -> list[Part]:
    """The data set in parts of about ``PART_FRAMES`` frames; a clip is never divided."""
    parts: list[Part] = []
    first = start = frames = 0
    for number, clip in enumerate(dataset.clips):
        frames += clip.frames
        if frames >= PART_FRAMES or number == len(dataset.clips) - 1:
            parts.append(Part(len(parts), (first, number + 1), start, frames))
            first, start, frames = number + 1, start + frames, 0
    return parts


def _render(
    dataset: Dataset, address: str, size: Size, folder: Path, *, processes: int, progress: Callable[[int, int], None]
) -> None:
    parts = parts_of(dataset)
    total = sum(part.frames for part in parts)
    if not total:
        raise SourceError(f"{address} has no frames to train on")
    _allocate(folder, total, size)
    missing = [part for part in parts if not _part_file(folder, part.number).is_file()]
    done = total - sum(part.frames for part in missing)
    if done:
        LOG.info("%s: %d of %d frames are there already", folder, done, total)
    for part in _carried_out(dataset, address, size, folder, missing, processes=processes):
        done += part.frames
        progress(done, total)
    _finish(dataset, address, size, folder, parts)


def _carried_out(
    dataset: Dataset, address: str, size: Size, folder: Path, parts: list[Part], *, processes: int
) -> Iterable[Part]:
    if processes == 1 or len(parts) == 1:
        for part in parts:
            render_part(dataset, part, size, folder)
            yield part
        return
    # A new interpreter each: threads of this one (an engine's, a decoder's) do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(address,)) as pool:
        waiting = {pool.submit(_render_one, part, size, folder): part for part in parts}
        try:
            for future in as_completed(waiting):
                future.result()
                yield waiting[future]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_opened: list[Dataset] = []  # of a rendering process: the data set, which is opened once


def _start(address: str) -> None:
    from .datasets.registry import open_dataset

    end_with_parent()
    _opened.append(open_dataset(address))


def _render_one(part: Part, size: Size, folder: Path) -> None:
    render_part(_opened[0], part, size, folder)


def _allocate(folder: Path, total: int, size: Size) -> None:
    """The two large files, at their final size; the disk is only used as they are filled."""
    height, width = size
    flow = (height // FLOW_SHRINK, width // FLOW_SHRINK, 2)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        needed = total * (height * width * 3 + flow[0] * flow[1] * 4)
        there = sum(path.stat().st_blocks * 512 for path in folder.glob("*.npy"))
        free = shutil.disk_usage(folder).free
        if needed - there > free:
            raise OutputError(
                f"the {total} frames at {width}x{height} need {needed / 1e9:.1f} GB in {folder}, where "
                f"{free / 1e9:.1f} GB are free; VIDGRAPH_CACHE=DIR names another folder"
            )
        for name, dtype, shape in (("frames", np.uint8, (height, width, 3)), ("flow", np.float16, flow)):
            if not (folder / f"{name}.npy").is_file():
                new = folder / f"{name}.new.npy"
                np.lib.format.open_memmap(new, mode="w+", dtype=dtype, shape=(total, *shape)).flush()
                new.replace(folder / f"{name}.npy")
    except OSError as error:
        raise OutputError(f"cannot write the frames to {folder}: {error.strerror or error}") from error


def render_part(dataset: Dataset, part: Part, size: Size, folder: Path) -> None:
    """Render the clips of ``part`` and record that it is done."""
    frames = np.lib.format.open_memmap(folder / "frames.npy", mode="r+")
    flow = np.lib.format.open_memmap(folder / "flow.npy", mode="r+")
    rows: list[Arrays] = []
    for clip_number in range(*part.clips):
        for place, sample in enumerate(dataset.samples(dataset.clips[clip_number])):
            number = part.start + len(rows)
            if len(rows) == part.frames:
                break
            frames[number] = scaled_picture(sample.frame.picture, size)
            cells = scaled_flow(sample, size)
            if cells is not None:
                flow[number] = cells
            rows.append(_row(sample, size, clip_number, place, has_flow=cells is not None))
    if len(rows) != part.frames:
        clip = dataset.clips[part.clips[0]].name
        raise SourceError(f"{dataset.name}: clips from {clip} on have {len(rows)} frames, {part.frames} were promised")
    file = _part_file(folder, part.number)
    file.parent.mkdir(exist_ok=True)
    new = file.with_suffix(f".{os.getpid()}.new")
    with new.open("wb") as stream:
        arrays: dict[str, Any] = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        np.savez(stream, **arrays)
    new.replace(file)


def _part_file(folder: Path, number: int) -> Path:
    return folder / "parts" / f"{number:06d}.npz"


def _finish(dataset: Dataset, address: str, size: Size, folder: Path, parts: list[Part]) -> None:
    """Lay what the parts say end to end; the description comes last and makes the cache whole."""
    loaded = []
    for part in parts:
        with np.load(_part_file(folder, part.number)) as arrays:
            loaded.append(dict(arrays))
    for name in (*OBJECT_ARRAYS, *FACE_ARRAYS, *FRAME_ARRAYS, "bits"):
        np.save(folder / f"{name}.npy", np.concatenate([arrays[name] for arrays in loaded]))
    about = {"format": FORMAT, "address": address, "size": list(size), "class_names": list(dataset.class_names)}
    new = folder / f"{DESCRIPTION}.new"
    new.write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    new.replace(folder / DESCRIPTION)
    shutil.rmtree(folder / "parts")


def _row(sample: DataSample, size: Size, clip: int, place: int, *, has_flow: bool) -> Arrays:
    """What is kept of one frame besides its pixels and its flow."""
    truth, picture = sample.truth, sample.frame.picture
    objects, faces = truth.objects, truth.faces
    ratio = np.array([size[1] / picture.width, size[0] / picture.height], np.float32)
    masks = objects.masks
    shrunk = [(np.zeros(4, np.int32), np.zeros(0, np.uint8))] * len(objects)
    if masks is not None:
        shrunk = [shrunk_mask(masks, row, size) for row in range(len(objects))]
    count = 0 if faces is None else len(faces)
    nobody = np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros((0, 5), np.bool_)
    boxes, points, known = nobody if faces is None else (faces.boxes, faces.points, faces.scores > 0)
    tracks = objects.track_ids if objects.track_ids is not None else np.full(len(objects), -1, np.int32)
    return {
        "boxes": objects.boxes * np.tile(ratio, 2),
        "class_ids": objects.class_ids,
        "track_ids": tracks,
        "ignored": truth.ignored,
        "hidden": truth.hidden,
        "mask_boxes": np.array([box for box, _ in shrunk], np.int32).reshape(-1, 4),
        "bits": np.concatenate([np.zeros(0, np.uint8), *(bits for _, bits in shrunk)]),
        "face_boxes": boxes * np.tile(ratio, 2),
        "face_points": points * ratio,
        "face_known": known,
        "faces_ignored": np.zeros(0, np.bool_) if truth.faces_ignored is None else truth.faces_ignored,
        "clip": np.array([clip], np.int32),
        "index": np.array([place], np.int32),
        "annotated": np.array([sample.annotated]),
        "has_flow": np.array([has_flow]),
        "object_counts": np.array([len(objects)], np.int32),
        "face_counts": np.array([count], np.int32),
    }


def scaled_picture(picture: Picture, size: Size) -> NDArray[np.uint8]:
    """The picture as RGB of ``size`` (height, width): uint8 [H, W, 3], sampled as networks sample their input."""
    scaled = preprocess(
        picture.planes,
        picture.format,
        matrix=picture.matrix,
        full_range=picture.full_range,
        size=size,
        scale=(picture.width / size[1], picture.height / size[0]),
        offset=(0.0, 0.0),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        dtype="uint8",
        layout="nhwc",
    )
    pixels: NDArray[np.uint8] = scaled[0]
    return pixels


def scaled_flow(sample: DataSample, size: Size) -> NDArray[np.float16] | None:
    """The flow at the middle of each cell, in pixels of a frame of ``size``: float16 [H / 8, W / 8, 2]."""
    flow = sample.truth.flow
    if flow is None:
        return None
    height, width = flow.shape[:2]
    rows, columns = (
        ((np.arange(length // FLOW_SHRINK) + 0.5) * FLOW_SHRINK / length * whole).astype(np.int64)
        for length, whole in zip(size, (height, width), strict=True)
    )
    ratio = np.array([size[1] / width, size[0] / height], np.float32)
    cells: NDArray[np.float16] = (flow[np.ix_(rows, columns)] * ratio).astype(np.float16)
    return cells


def shrunk_mask(masks: Masks, row: int, size: Size) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """A mask at ``size`` (height, width): its box int32 [4] there, and the packed rows within it.

    A pixel is set where at least half of what it covers was.
    """
    x1, y1, x2, y2 = masks.boxes[row].tolist()
    if x1 == x2 or y1 == y2:
        return np.zeros(4, np.int32), np.zeros(0, np.uint8)
    crop = masks.crop(row)
    (top, bottom, row_edges), (left, right, column_edges) = (
        cell_edges(low, high, whole, length)
        for low, high, whole, length in ((y1, y2, masks.size[0], size[0]), (x1, x2, masks.size[1], size[1]))
    )
    packed = np.packbits(covered(crop, row_edges, column_edges), axis=1)
    return np.array([left, top, right, bottom], np.int32), packed.reshape(-1)


def cell_edges(low: int, high: int, whole: int, length: int) -> tuple[int, int, NDArray[np.float64]]:
    """Which of the ``length`` cells of an axis of ``whole`` pixels the pixels [low, high) touch, and their edges.

    Returns:
        the first cell, one past the last, and float64 [cells + 1], in pixels from ``low``.
    """
    first, last = low * length // whole, -(-high * length // whole)
    edges: NDArray[np.float64] = np.arange(first, last + 1, dtype=np.float64) * (whole / length) - low
    return first, last, edges


def covered(mask: NDArray[Any], row_edges: NDArray[np.float64], column_edges: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of which cells at least half is set; see :func:`coverage`."""
    return coverage(mask, row_edges, column_edges) >= 0.5


def coverage(
    mask: NDArray[Any], row_edges: NDArray[np.float64], column_edges: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Which part of each cell is set.

    Args:
        mask: bool or uint8 0 and 1 [H, W]; 0 beyond it.
        row_edges, column_edges: ascending, in pixels of ``mask``; a pixel belongs to a cell by its middle, and a
            cell smaller than a pixel is what lies at its middle.

    Returns:
        float32 [rows, columns], in [0, 1].
    """
    height, width = mask.shape
    if row_edges[1] - row_edges[0] < 1 or column_edges[1] - column_edges[0] < 1:
        rows, columns = (np.floor((edges[1:] + edges[:-1]) / 2).astype(np.int64) for edges in (row_edges, column_edges))
        inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
        at = np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))
        found: NDArray[np.bool_] = inside & (mask[at] != 0)
        return found.astype(np.float32)
    rows, columns = (np.floor(edges + 0.5).astype(np.int64) for edges in (row_edges, column_edges))
    areas = (rows[1:] - rows[:-1])[:, None] * (columns[1:] - columns[:-1])
    strips = _sums_between(mask, np.minimum(np.maximum(rows, 0), height))
    sums = _sums_between(strips.T, np.minimum(np.maximum(columns, 0), width)).T
    return np.divide(sums, areas, dtype=np.float32)


def _sums_between(values: NDArray[Any], edges: NDArray[np.int64]) -> NDArray[np.int32]:
    """Sums of the rows from each of ``edges`` (ascending) up to the next one: int32 [edges - 1, columns]."""
    first = int(edges[0])
    before = np.zeros((int(edges[-1]) - first + 1, values.shape[1]), np.int32)
    np.cumsum(values[first : int(edges[-1])], axis=0, out=before[1:])
    chosen = before[edges - first]
    return chosen[1:] - chosen[:-1]
