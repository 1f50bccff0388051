"""Panoptic maps: drawn on a picture, and as run lengths, beside NumPy, OpenCV and COCO's tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import draw_segments
from ..pipeline.types.panoptic import PanopticMap, Segment
from .harness import Case, Runs, cases_of, optional

FRAME, SEGMENTS, ALPHA = (1080, 1920), 19, 0.45


def cases() -> Iterator[Case]:
    """All cases of this file."""
    found = street()
    yield from _draw_cases(found)
    yield from _run_cases(found)


def street() -> PanopticMap:
    """A frame of 19 segments with wavy borders."""
    rows, columns = np.mgrid[0 : FRAME[0], 0 : FRAME[1]].astype(np.float32)
    waves = np.sin(columns / 97) + np.cos(rows / 61) + np.sin((rows + 2 * columns) / 211) + columns / 640
    ids = np.clip((waves + 3) * SEGMENTS / 8.5, 0, SEGMENTS - 1).astype(np.int32) + 1
    areas = np.bincount(ids.reshape(-1), minlength=SEGMENTS + 1).tolist()
    segments = [Segment(i, i - 1, f"class {i}", False, None, areas[i]) for i in range(1, SEGMENTS + 1) if areas[i]]
    return PanopticMap(ids, tuple(segments))


def _draw_cases(found: PanopticMap) -> Iterator[Case]:
    task = f"{len(found.segments)} segments drawn on 1920x1080 RGB"
    under = np.random.default_rng(0).integers(0, 256, (*FRAME, 3)).astype(np.uint8)
    colors = np.random.default_rng(1).integers(0, 256, (SEGMENTS + 1, 3)).astype(np.uint8)
    ids, share = found.segment_ids, round(ALPHA * 255) / 255

    def ours(canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
        np.copyto(canvas, under)
        draw_segments((canvas,), "rgb24", ids, colors, ALPHA, matrix="rgb", full_range=True)
        return canvas

    def with_numpy() -> NDArray[np.uint8]:
        mixed = under * np.float32(1 - share) + colors[ids] * np.float32(share) + np.float32(0.5)
        return np.asarray(mixed, np.uint8)

    cv2 = optional("cv2")
    runs: Runs = {
        "vidgraph": partial(ours, np.empty_like(under)),
        "numpy": with_numpy,
        "opencv": cv2 and (lambda: cv2.addWeighted(under, 1 - share, colors[ids], share, 0)),
    }
    yield from cases_of(task, runs, partial(_near, expected=with_numpy()), 2 * under.nbytes + ids.nbytes)


def _near(run: Callable[[], NDArray[Any]], expected: NDArray[np.uint8]) -> None:
    gap = np.abs(run().astype(np.int16) - expected).max()
    assert gap <= 1, f"differs by {gap} levels"


def _run_cases(found: PanopticMap) -> Iterator[Case]:
    task = f"{len(found.segments)} segments of 1920x1080 as COCO run lengths"

    def ours() -> list[str]:
        return [rle["counts"] for rle in found.rles()]

    def with_tools() -> list[str]:
        masks = (np.asfortranarray(found.segment_ids == each.id, np.uint8) for each in found.segments)
        return [tools.encode(mask)["counts"].decode() for mask in masks]

    tools = optional("pycocotools.mask")
    runs: Runs = {"vidgraph": ours, "pycocotools": tools and with_tools}
    yield from cases_of(task, runs, partial(_same, expected=ours()), found.segment_ids.nbytes)


def _same(run: Callable[[], list[str]], expected: list[str]) -> None:
    assert run() == expected, "other run lengths"
