"""Pixel kernels beside NumPy, OpenCV and torch: network input from YUV planes, YUV to RGB, drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import draw_boxes, preprocess, to_rgb
from .harness import Case, Runs, cases_of, optional

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
MEAN = (104.0, 117.0, 123.0)
FRAME, INPUT = (1080, 1920), (360, 640)
LEVELS = 1.5
"""Mean difference, in levels of 255, that formulations may have: OpenCV rounds to 8 bits on the way and
repeats chroma where we interpolate."""


def smooth_planes() -> Planes:
    """A 1080p yuv420p picture without sharp edges, so that formulations that sample chroma elsewhere agree."""
    rows, columns = np.mgrid[0 : FRAME[0], 0 : FRAME[1]].astype(np.float32)
    luma = 125 + 60 * np.sin(columns / 190) * np.cos(rows / 170)
    half_rows, half_columns = rows[::2, ::2], columns[::2, ::2]
    blue, red = 128 + 40 * np.sin(half_columns / 300), 128 + 40 * np.cos(half_rows / 250)
    return luma.astype(np.uint8), blue.astype(np.uint8), red.astype(np.uint8)


def cases() -> Iterator[Case]:
    """All cases of this file."""
    planes = smooth_planes()
    yield from _preprocess_cases(planes)
    yield from _letterbox_cases(planes)
    yield from _rgb_cases(planes)
    yield from _draw_cases(planes)


def _near(run: Callable[[], NDArray[Any]], expected: NDArray[Any]) -> None:
    got = run()
    assert got.shape == expected.shape, f"{got.shape} is not {expected.shape}"
    gap = float(np.abs(np.asarray(got, np.float64) - expected).mean())
    assert gap <= LEVELS, f"mean difference {gap:.2f} levels"


def _ours(planes: Planes, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    step = (FRAME[1] / INPUT[1], FRAME[0] / INPUT[0])
    return preprocess(
        planes, "yuv420p", matrix="bt601", full_range=False, size=INPUT, scale=step, offset=(0.0, 0.0), mean=MEAN,
        std=(1.0, 1.0, 1.0), bgr=True, out=out,
    )  # fmt: skip


def _preprocess_cases(planes: Planes) -> Iterator[Case]:
    task = "1080p yuv420p -> float32 [1, 3, 360, 640]"
    expected = _numpy_input(planes)
    moved = sum(plane.nbytes for plane in planes) + expected.nbytes
    cv2, torch = optional("cv2"), optional("torch")
    runs: Runs = {
        "vidgraph": partial(_ours, planes, np.empty((1, 3, *INPUT), np.float32)),
        "numpy": partial(_numpy_input, planes),
        "opencv": cv2 and partial(_opencv_input, cv2, _stacked(planes)),
        "torch": torch and partial(_torch_input, torch, planes),
    }
    yield from cases_of(task, runs, partial(_near, expected=expected), moved)


def _letterbox_cases(planes: Planes) -> Iterator[Case]:
    """What YOLO networks take: a square input in the kinds of numbers and layouts that exported files want."""
    step, side = FRAME[1] / 640, (640 - round(FRAME[0] * 640 / FRAME[1])) // 2
    common: dict[str, Any] = {
        "matrix": "bt601", "full_range": False, "size": (640, 640), "scale": (step, step),
        "offset": (0.0, -side * step), "content": (side, 0, 640 - side, 640), "pad": (114, 114, 114),
        "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0),
    }  # fmt: skip
    plain = preprocess(planes, "yuv420p", **common)
    for dtype, layout in (("float32", "nchw"), ("float32", "nhwc"), ("float16", "nchw"), ("uint8", "nhwc")):
        expected = plain if layout == "nchw" else plain.transpose(0, 2, 3, 1)
        out = np.empty(expected.shape, dtype)
        run = partial(preprocess, planes, "yuv420p", **common, dtype=dtype, layout=layout, out=out)
        task = f"1080p yuv420p -> letterboxed {dtype} {layout} 640"
        yield Case(task, "vidgraph", run, partial(_near, run, expected), sum(p.nbytes for p in planes) + out.nbytes)


def _numpy_rgb(luma: NDArray[Any], blue: NDArray[Any], red: NDArray[Any]) -> NDArray[np.float32]:
    """BT.601, limited range, float: [3, h, w]."""
    y, u, v = (luma - np.float32(16)) * np.float32(255 / 219), blue - np.float32(128), red - np.float32(128)
    u, v = u * np.float32(255 / 224), v * np.float32(255 / 224)
    rgb = np.stack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u]).astype(np.float32)
    clipped: NDArray[np.float32] = np.clip(rgb, 0, 255)
    return clipped


def _numpy_sample(plane: NDArray[np.uint8], shift: float) -> NDArray[np.float32]:
    """Bilinear samples at the input's pixel centres; ``shift`` moves chroma to its place, in its own pixels."""
    axes = []
    for length, count, move in ((plane.shape[0], INPUT[0], 0.0), (plane.shape[1], INPUT[1], shift)):
        place = (np.arange(count, dtype=np.float32) + 0.5) * (length / count) - 0.5 + move
        low = np.clip(np.floor(place).astype(np.int64), 0, length - 2)
        axes.append((low, np.clip(place - low, 0, 1).astype(np.float32)))
    (row, down), (column, right) = axes
    top, bottom = plane[row].astype(np.float32), plane[row + 1].astype(np.float32)
    lines = top + (bottom - top) * down[:, None]
    sampled: NDArray[np.float32] = lines[:, column] + (lines[:, column + 1] - lines[:, column]) * right
    return sampled


def _numpy_input(planes: Planes) -> NDArray[np.float32]:
    rgb = _numpy_rgb(_numpy_sample(planes[0], 0.0), _numpy_sample(planes[1], 0.25), _numpy_sample(planes[2], 0.25))
    bgr = rgb[::-1] - np.asarray(MEAN, np.float32)[:, None, None]
    return np.ascontiguousarray(bgr)[None]


def _stacked(planes: Planes) -> NDArray[np.uint8]:
    """I420 as OpenCV takes it: one array of 1.5 h rows."""
    return np.concatenate([planes[0], *(plane.reshape(-1, FRAME[1]) for plane in planes[1:])])


def _opencv_input(cv2: Any, stacked: NDArray[np.uint8]) -> NDArray[np.float32]:
    bgr = cv2.resize(cv2.cvtColor(stacked, cv2.COLOR_YUV2BGR_I420), (INPUT[1], INPUT[0]))
    tensor: NDArray[np.float32] = cv2.dnn.blobFromImage(bgr, 1.0, mean=MEAN)
    return tensor


def _torch_input(torch: Any, planes: Planes) -> NDArray[np.float32]:
    resize = torch.nn.functional.interpolate
    sampled = [
        resize(torch.from_numpy(plane)[None, None].float(), INPUT, mode="bilinear", align_corners=False)[0, 0]
        for plane in planes
    ]
    y, u, v = (sampled[0] - 16) * (255 / 219), (sampled[1] - 128) * (255 / 224), (sampled[2] - 128) * (255 / 224)
    bgr = torch.stack([y + 1.772 * u, y - 0.344136 * u - 0.714136 * v, y + 1.402 * v]).clamp_(0, 255)
    tensor: NDArray[np.float32] = (bgr - torch.tensor(MEAN)[:, None, None])[None].numpy()
    return tensor


def _rgb_cases(planes: Planes) -> Iterator[Case]:
    task = "1080p yuv420p -> rgb24"
    moved = sum(plane.nbytes for plane in planes) + 3 * planes[0].nbytes

    def exact() -> NDArray[np.float32]:
        wide = [planes[0], *(np.repeat(np.repeat(plane, 2, 0), 2, 1) for plane in planes[1:])]
        return _numpy_rgb(*wide)

    def numpy_rgb() -> NDArray[np.uint8]:
        return (exact() + 0.5).astype(np.uint8).transpose(1, 2, 0)

    cv2 = optional("cv2")
    runs: Runs = {
        "vidgraph": partial(to_rgb, planes, "yuv420p", matrix="bt601", full_range=False),
        "numpy": numpy_rgb,
        "opencv": cv2 and partial(cv2.cvtColor, _stacked(planes), cv2.COLOR_YUV2RGB_I420),
    }
    yield from cases_of(task, runs, partial(_near, expected=exact().transpose(1, 2, 0)), moved)


def _draw_cases(planes: Planes) -> Iterator[Case]:
    task = "20 boxes on 1080p rgb24"
    generator = np.random.default_rng(0)
    corner = generator.integers(10, 800, (20, 2))
    boxes = np.concatenate([corner, corner + generator.integers(40, 250, (20, 2))], axis=1).astype(np.float32)
    canvas = np.zeros((*FRAME, 3), np.uint8)
    colors = np.full((20, 3), 200, np.uint8)

    def ours() -> NDArray[np.uint8]:
        draw_boxes((canvas,), "rgb24", boxes, colors, matrix="rgb", full_range=True, thickness=3)
        return canvas

    def numpy_boxes() -> NDArray[np.uint8]:
        for x1, y1, x2, y2 in boxes.astype(int):
            for rows, columns in (
                (slice(y1, y1 + 3), slice(x1, x2)),
                (slice(y2 - 3, y2), slice(x1, x2)),
                (slice(y1, y2), slice(x1, x1 + 3)),
                (slice(y1, y2), slice(x2 - 3, x2)),
            ):
                canvas[rows, columns] = 200
        return canvas

    def opencv() -> NDArray[np.uint8]:
        for x1, y1, x2, y2 in boxes.astype(int).tolist():
            for low, high in (
                ((x1, y1), (x2 - 1, y1 + 2)),
                ((x1, y2 - 3), (x2 - 1, y2 - 1)),
                ((x1, y1), (x1 + 2, y2 - 1)),
                ((x2 - 3, y1), (x2 - 1, y2 - 1)),
            ):
                cv2.rectangle(canvas, low, high, (200, 200, 200), cv2.FILLED)
        return canvas

    expected, cv2 = numpy_boxes().copy(), optional("cv2")
    canvas[:] = 0
    runs: Runs = {"vidgraph": ours, "numpy": numpy_boxes, "opencv": cv2 and opencv}
    yield from cases_of(task, runs, partial(_near, expected=expected))
