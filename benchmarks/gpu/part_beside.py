"""The same arithmetic side by side: our kernels, plain torch in fp32 and fp16, and where it is installed CV-CUDA."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import kernels
from ...kernels.cuda.driver import driver
from ...kernels.device import to_host
from ...pipeline.types.masks import Masks
from ..bench_detections import MAX_IOU
from ..harness import optional
from . import cv_cuda, inputs, plain_torch
from .clock import call_times
from .part_chain import chain_of
from .part_kernels import on
from .report import Absent, Report
from .scale import Bench, Scale

LEVELS, NEAR, ALPHA = 1.5, 5e-3, 0.45
"""Of 255, and of a box relative to the frame: within these, two formulations agree."""

Answer = Any


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that is computed.

    Attributes:
        title: what.
        ours: gives our answer, of arrays on a card.
        arrays: for it, in host memory.
        theirs: gives torch's answer, of tensors and in a dtype.
        tensors: for it, in host memory.
        agree: the share of our answer (in host memory) that torch's (NumPy) has too.
    """

    title: str
    ours: Callable[..., Answer]
    arrays: tuple[Any, ...]
    theirs: Callable[..., Answer]
    tensors: tuple[Any, ...]
    agree: Callable[[Any, Any], float]


def measure(bench: Bench, report: Report) -> None:
    """Rows of every task: ours first.

    Raises:
        Absent: there is no torch with CUDA.
    """
    torch = optional("torch")
    if torch is None:
        raise Absent("torch is not installed: pip install torch, for CUDA")
    if not torch.cuda.is_available():
        raise Absent(f"torch {torch.__version__} finds no card")
    stream = torch.cuda.ExternalStream(driver().stream(bench.device), device=f"cuda:{bench.device.index}")
    with torch.no_grad(), torch.cuda.stream(stream):
        compare(bench, report, torch, str(bench.device))
        _beside_cv_cuda(bench, report, torch, stream)


def compare(bench: Bench, report: Report, torch: Any, place: str) -> None:
    """Rows of every task, with torch on ``place``; a formulation that fails is left out with the reason."""
    report.note(torch=torch.__version__, tf32=bool(torch.backends.cuda.matmul.allow_tf32))
    for task in tasks(bench.scale):
        there = on(task.arrays, bench.device)
        want = task.ours(*task.arrays)
        ours = call_times(partial(task.ours, *there), bench.clock, bench.scale.rounds)
        report.row(task=task.title, name="vidgraph", **ours)
        tensors = _tensors(torch, task.tensors, place)
        for name in ("float32", "float16"):
            run = partial(task.theirs, torch, *tensors, getattr(torch, name))
            try:
                share = task.agree(want, _numpy(run()))
                times = call_times(run, bench.clock, bench.scale.rounds)
            except Exception as error:  # another library's, of any class
                report.skip(f"torch {name}: {task.title}", f"{type(error).__name__}: {error}")
                continue
            report.row(task=task.title, name=f"torch {name}", **times, agrees=round(share, 5), **_ratios(times, ours))


_TIMES = ("call_ms", "queued_ms")


def _ratios(theirs: dict[str, Any], ours: dict[str, float]) -> dict[str, float]:
    """How many times as long the other takes."""
    return {f"x_{name}": float(f"{theirs[name] / max(ours[name], 1e-9):.3g}") for name in ours}


def tasks(scale: Scale) -> Iterator[Task]:
    """All of them."""
    yield _preprocess(scale)
    yield _suppression(scale)
    yield _masks(scale)
    yield _overlay(scale)
    yield _chain(scale)


def _preprocess(scale: Scale) -> Task:
    planes, side = inputs.smooth_planes(scale), scale.side
    ours = partial(network_input, side=side)

    def theirs(torch: Any, luma: Any, chroma: Any, dtype: Any) -> Any:
        return plain_torch.preprocess(torch, luma, chroma, side, dtype)

    title = f"{scale.frame[1]}x{scale.frame[0]} NV12 to float32 [1, 3, {side}, {side}]"
    return Task(title, ours, (planes,), theirs, planes, near_levels)


def network_input(planes: Any, side: int) -> Any:
    """RGB of 0..255, as the torch side has it."""
    height, width = planes[0].shape
    return kernels.preprocess(
        planes, "nv12", matrix="bt601", full_range=False, size=(side, side), scale=(width / side, height / side),
        offset=(0.0, 0.0), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0),
    )  # fmt: skip


def near_levels(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """The share of values within ``LEVELS``."""
    return float((np.abs(ours.astype(np.float32) - theirs.astype(np.float32)) <= LEVELS).mean())


def _suppression(scale: Scale) -> Task:
    host = chain_of(scale)
    title = f"{scale.priors} x {scale.classes} logits to {scale.detections} boxes"
    tensors = host.logits, host.loc, host.priors
    return Task(
        title, lambda *arrays: host.with_arrays(*arrays).suppress(), host.arrays, plain_torch.suppress, tensors,
        _same_boxes,
    )  # fmt: skip


def _same_boxes(ours: Any, theirs: Any) -> float:
    """The share of our boxes that the other found with the same class."""
    boxes, classes, *_ = ours
    near = np.abs(boxes[:, None] - theirs[0].astype(np.float32)[None]).max(axis=2) <= NEAR
    return float((near & (classes[:, None] == theirs[1][None])).any(axis=1).mean())


def _masks(scale: Scale) -> Task:
    arrays, size = inputs.shapes_of(scale).arrays, scale.frame

    def theirs(torch: Any, proto: Any, coeff: Any, boxes: Any, dtype: Any) -> Any:
        return plain_torch.masks(torch, proto, coeff, boxes, size, dtype)

    title = f"{scale.detections} masks of {size[1]}x{size[0]}"
    ours = partial(kernels.assemble_masks, size=size)
    return Task(title, ours, arrays, theirs, arrays, partial(_same_pixels, size=size))


def _same_pixels(ours: Any, theirs: NDArray[np.bool_], size: tuple[int, int]) -> float:
    """The share of pixels that are the same, of every tenth mask."""
    boxes, bits, offsets = ours
    masks = Masks(boxes, bits, offsets, size)
    return float(np.mean([(masks.full(row) == theirs[row]).mean() for row in range(0, len(theirs), 10)]))


def _overlay(scale: Scale) -> Task:
    size, found = scale.frame, kernels.assemble_masks(*inputs.shapes_of(scale).arrays, size=scale.frame)
    colors = inputs.colors_of(scale.detections)
    rgb = np.random.default_rng(14).integers(0, 256, (*size, 3), np.uint8)
    full = np.stack([Masks(*found, size).full(row) for row in range(scale.detections)])

    def ours(picture: Any, boxes: Any, bits: Any, offsets: Any, colors: Any) -> Any:
        if isinstance(picture, np.ndarray):
            picture = picture.copy()
        kernels.draw_masks((picture,), "rgb24", boxes, bits, offsets, colors, ALPHA, matrix="bt709", full_range=True)
        return picture

    def theirs(torch: Any, picture: Any, masks: Any, colors: Any, dtype: Any) -> Any:
        return plain_torch.overlay(picture, masks, colors, ALPHA, dtype)

    title = f"{scale.detections} given masks drawn on {size[1]}x{size[0]} RGB"
    return Task(title, ours, (rgb, *found, colors), theirs, (rgb, full, colors), _drawn_alike)


def _drawn_alike(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """As ``near_levels``; rounding to bytes after every mask adds up to two steps."""
    return float((np.abs(ours.astype(np.float32) - theirs.astype(np.float32)) <= LEVELS + 1).mean())


def _chain(scale: Scale) -> Task:
    host = chain_of(scale)

    def theirs(torch: Any, *given: Any) -> Any:
        *tensors, dtype = given
        return plain_torch.chain(torch, tuple(tensors), scale.frame, dtype)

    title = f"post-processing: raw outputs to {scale.detections} detections of {scale.frame[1]}x{scale.frame[0]}"
    tensors = host.logits, host.loc, host.priors, host.proto, host.coeff
    return Task(title, lambda *arrays: host.with_arrays(*arrays).run(), host.arrays, theirs, tensors, _same_boxes)


def _tensors(torch: Any, arrays: Any, place: str) -> Any:
    return [torch.from_numpy(np.ascontiguousarray(array)).to(place) for array in arrays]


def _numpy(answer: Any) -> Any:
    return tuple(map(_numpy, answer)) if isinstance(answer, tuple) else answer.cpu().numpy()


def _beside_cv_cuda(bench: Bench, report: Report, torch: Any, stream: Any) -> None:
    """Rows of what it has."""
    cvcuda = optional("cvcuda")
    if cvcuda is None:
        report.skip("CV-CUDA", "it is not installed: pip install cvcuda-cu13")
        return
    try:
        with cv_cuda.streamed(cvcuda, stream):
            for row in _cv_cuda_rows(bench, torch, cvcuda):
                known = [one for one in report.rows if (one["task"], one["name"]) == (row["task"], "vidgraph")]
                ratios = _ratios(row, {name: known[0][name] for name in _TIMES}) if known else {}
                report.row(**row, **ratios)
    except Exception as error:  # another library's, of any class
        report.skip("CV-CUDA", f"{type(error).__name__}: {error}")


def _cv_cuda_rows(bench: Bench, torch: Any, cvcuda: Any) -> Iterator[dict[str, Any]]:
    scale, place = bench.scale, str(bench.device)
    task = _preprocess(scale)
    run = cv_cuda.preprocess(cvcuda, torch, tuple(_tensors(torch, task.tensors, place)), scale.side)
    share = near_levels(task.ours(*task.arrays), cv_cuda.numpy_of(torch, run()))
    times = call_times(run, bench.clock, scale.rounds)
    yield {"task": task.title, "name": "CV-CUDA", **times, "agrees": round(share, 5)}
    boxes = inputs.boxes_px(scale, scale.candidates).astype(np.int16)
    scores = inputs.scores_of(scale.candidates)
    ours = partial(kernels.nms, *on((boxes.astype(np.float32), scores), bench.device), max_iou=MAX_IOU)
    title = f"suppression of {scale.candidates} boxes"
    yield {"task": title, "name": "vidgraph", **call_times(ours, bench.clock, scale.rounds)}
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    there = _tensors(torch, (sides, scores), place)
    run = cv_cuda.suppress(cvcuda, there[0], there[1], MAX_IOU)
    kept = cv_cuda.numpy_of(torch, run()).reshape(-1).astype(np.bool_)
    wanted = np.zeros(len(boxes), np.bool_)
    wanted[np.asarray(to_host(ours()))] = True
    times = call_times(run, bench.clock, scale.rounds)
    yield {"task": title, "name": "CV-CUDA", **times, "agrees": round(float((kept == wanted).mean()), 5)}
