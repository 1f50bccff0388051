"""What the kernels that do not wait are held against the host's with: how many rows count lies on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
from vidgraph.kernels import queued
from vidgraph.kernels.box_rows import ORDERS, Shown

from .cases import to_host
from .cuda_mask_cases import BOXES, INF, NAN, Case

COUNTS = ((0, 1), (1, 1), (0, 70), (7, 70), (70, 70))
"""How many rows count, of how many."""


def on_host(count: Any) -> bool:
    return isinstance(count, np.ndarray)


def found_rows(function: Callable[..., Any], *arrays: Any, count: Any, **options: Any) -> tuple[np.ndarray, ...]:
    """What a kernel finds in the first rows of ``arrays``; on the device, others lie behind them."""
    if on_host(count):
        return tuple(function(*(array[: count[0]] for array in arrays), **options)[:-1])
    *found, taken = function(*arrays, count=count, **options)
    return tuple(to_host(array)[: to_host(taken)[0]] for array in found)


def given_rows(function: Callable[..., Any], *arrays: Any, whole: int = 0, count: Any, **options: Any) -> Any:
    """What a kernel makes of the first rows of all ``arrays`` but the first ``whole``."""
    if on_host(count):
        made = function(*arrays[:whole], *(array[: count[0]] for array in arrays[whole:]), **options)
        return made if isinstance(made, tuple) else (made,)
    made = function(*arrays, count=count, **options)
    taken = int(to_host(count)[0])
    return tuple(to_host(array)[:taken] for array in (made if isinstance(made, tuple) else (made,)))


def number(count: int) -> np.ndarray:
    return np.array([count], np.int32)


def boxes_and_scores(room: int, classes: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(room)
    corners = random.uniform(-0.3, 1.1, (4, 2))[random.integers(0, 4, room)] + random.normal(0, 0.03, (room, 2))
    boxes = np.concatenate([corners, corners + random.uniform(0.1, 0.3, (room, 2))], axis=1).astype(np.float32)
    boxes[3::31], boxes[5::37] = NAN, (0, 0, 0, 0)
    scores = random.integers(0, 40, (room,) if classes is None else (room, classes)) / np.float32(40)
    scores[2::29] = NAN
    return boxes, scores.astype(np.float32)


def nms() -> Iterator[Case]:
    for count, room in COUNTS:
        for limit in (0, 3, 1000):
            options = {"count": number(count), "max_iou": 0.4, "legacy": True, "limit": limit}
            yield partial(found_rows, queued.nms), boxes_and_scores(room), options


def class_nms() -> Iterator[Case]:
    for count, room in COUNTS:
        boxes, scores = boxes_and_scores(room)
        for classes in (1, 3):
            ids = np.random.default_rng(classes).integers(-1, classes, room).astype(np.int32)
            for limit in (0, 3, 1000):
                options = {"count": number(count), "max_iou": 0.4, "limit": limit}
                yield partial(found_rows, queued.class_nms), (boxes, scores, ids), options
    same = np.tile(np.array([[0, 0, 1, 1]], np.float32), (90, 1)), np.full(90, 0.5, np.float32), np.arange(90) % 2
    options = {"count": number(80), "max_iou": 0.5, "limit": 50}
    yield partial(found_rows, queued.class_nms), (*same[:2], same[2].astype(np.int32)), options


def best_classes() -> Iterator[Case]:
    def found(scores: Any, **options: Any) -> tuple[np.ndarray, ...]:
        *made, count = queued.best_classes(scores, **options)
        return tuple(made) if count is None else tuple(to_host(each)[: to_host(count)[0]] for each in made)

    random = np.random.default_rng(6)
    for room in (0, 1, 300):
        table = random.normal(0, 2, (room, 9)).astype(np.float32)
        table[3::17, 5], table[4::19, 4] = NAN, NAN
        for given in (table, np.ascontiguousarray(table.T).T):
            for floor, sigmoid in ((0.5, False), (0.6, True), (100.0, False)):
                yield found, (given[:, 5:],), {"min_score": floor, "sigmoid": sigmoid}
                yield found, (given[:, 5:],), {"min_score": floor, "sigmoid": sigmoid, "objectness": given[:, 4]}


def box_rows() -> Iterator[Case]:
    random = np.random.default_rng(7)
    for count, room in (*COUNTS, (257, 300)):
        boxes = random.normal(20, 30, (room, 4)).astype(np.float32)
        boxes[::11, :2] += 1000
        scores, numbers = (random.random(room).astype(np.float32) * scale for scale in (1, 9))
        ids = random.integers(-2, 4, room).astype(np.int32)
        for array in (boxes, scores, numbers):
            flat = array.reshape(-1)
            for at, odd in ((4, NAN), (9, INF), (14, -INF), (20, 3e38)):
                flat[at::53] = np.float32(odd)
        numbers[1::7], numbers[2::9] = -0.5, -1e9
        yield partial(given_rows, queued.class_numbers), (numbers,), {"count": number(count)}
        for order in ORDERS:
            for extent in (None, (320.0, 191.0)):
                options: dict[str, Any] = {"count": number(count), "order": order, "extent": extent}
                yield partial(given_rows, queued.corner_boxes), (boxes,), options
        extras = random.normal(size=(room, 3)).astype(np.float32)
        extras[7::23, 2] = -INF
        for behind in (extras, extras[:, :0].copy()):
            for classes in (None, np.array([3, -1], np.int32), np.array([], np.int32)):
                options = {"count": number(count), "classes": classes}
                yield partial(given_rows, queued.usable_scores), (scores, ids, boxes, behind), options
        for offset, part in (((-3.3, 0.1), (0, 0, 60, 41)), ((2.6, -9.0), (3, 0, 51, 44))):
            options = {"count": number(count), "shown": Shown((1.7, 1.3), offset, (45, 60), part)}
            yield partial(given_rows, queued.placed_boxes), (boxes,), options
    yield from finite_reports()


def finite_reports() -> Iterator[Case]:
    def reported(*outputs: Any, count: Any) -> Any:
        if not on_host(count):
            return queued.finite_report(outputs, count)
        finite = [not each.size or bool(np.isfinite(each).any()) for each in outputs]
        return np.array([*finite, count[0]], np.int32)

    for shape in ((1, 1), (3, 700), (1100, 2), (0, 4)):
        nothing = np.full(shape, NAN, np.float32)
        nothing.reshape(-1)[1::3] = INF
        last, some = nothing.copy(), nothing.copy()
        last.reshape(-1)[-1:], some.reshape(-1)[: some.size // 2] = 0, -3e38
        for outputs in ((nothing,), (last, nothing), (nothing.T, last.T, some), (some[:, ::-1], nothing[::-1])):
            yield reported, outputs, {"count": number(5)}


def top_scores() -> Iterator[Case]:
    for count, room in COUNTS:
        for limit in (0, 3, 1000):
            options = {"count": number(count), "min_score": 0.2, "limit": limit}
            yield partial(found_rows, queued.top_scores), (boxes_and_scores(room)[1],), options


def fast_nms() -> Iterator[Case]:
    fast, cross, traditional = queued.fast_nms, queued.cross_class_fast_nms, queued.traditional_nms
    for count, room, chosen in ((0, 1, None), (7, 40, [2, 0]), (40, 40, None), (40, 40, [2, 0])):
        for most in (9, 100):
            rule: dict[str, Any] = {
                "count": number(count), "max_iou": 0.5, "limit": most, "min_score": 0.3,
                "classes": None if chosen is None else np.array(chosen, np.int32),
            }  # fmt: skip
            arrays = boxes_and_scores(room, 3)
            yield partial(found_rows, fast), arrays, {**rule, "top_k": 20}
            yield partial(found_rows, cross), arrays, {**rule, "top_k": 20}
            yield partial(found_rows, traditional), arrays, {**rule, "size": (30, 50)}
    same = np.tile(np.array([[0, 0, 1, 1]], np.float32), (90, 1)), np.full((90, 3), 0.5, np.float32)
    for function in (fast, cross):
        rule = {"count": number(80), "max_iou": 0.5, "limit": 50, "min_score": 0.0, "top_k": 70}
        yield partial(found_rows, function), same, rule


def confident_rows() -> Iterator[Case]:
    def found(logits: Any, **options: Any) -> tuple[np.ndarray, ...]:
        rows, scores, count = queued.confident_rows(logits, **options)
        return (rows, scores) if count is None else tuple(to_host(a)[: to_host(count)[0]] for a in (rows, scores))

    logits = np.random.default_rng(1).normal(0, 3, (60, 5)).astype(np.float32)
    for limit in (0, 1, 60):
        yield found, (logits,), {"min_score": 0.3, "limit": limit}


def take_rows() -> Iterator[Case]:
    def taken(*arrays: Any, count: Any) -> Any:
        *tables, rows = arrays
        if on_host(count):
            return queued.take_rows(tables, rows[: count[0]])
        return tuple(to_host(a)[: to_host(count)[0]] for a in queued.take_rows(tables, rows, count))

    random = np.random.default_rng(2)
    for count, room in COUNTS:
        wide, whole = random.random((40, 8)).astype(np.float32), random.integers(-9, 9, 40).astype(np.int32)
        rows = random.integers(0, 40, room)
        yield taken, (wide, wide.reshape(40, 4, 2), whole, wide[:, 3], rows), {"count": number(count)}
        yield taken, (whole, rows), {"count": number(count)}
        turned = np.ascontiguousarray(wide.T).T
        views = turned, turned[:, 2:5], wide[:, ::-1], turned[::-1, :0], rows.repeat(40)[:40]
        yield taken, (*views, rows), {"count": number(count)}
        arrays = wide[:room], whole[:room]
        if room <= len(whole):
            yield partial(given_rows, fetched), arrays, {"count": number(count)}
            for length in (1, 4):
                note = random.integers(-9, 9, length).astype(np.int32)
                yield noted, arrays, {"count": number(count), "note": note}
    yield noted, (wide[:0],), {"count": number(0), "note": number(7)}


def fetched(*arrays: Any, count: Any = None) -> Any:
    return queued.fetch(arrays, count)


def noted(*arrays: Any, count: Any, note: Any) -> Any:
    if on_host(count):
        return queued.fetch([array[: count[0]] for array in arrays], None, note)
    return queued.fetch(arrays, count, note)


def ssd() -> Iterator[Case]:
    random = np.random.default_rng(3)
    priors = random.random((50, 4)).astype(np.float32)

    def boxes(priors: Any, loc: Any, rows: Any, **options: Any) -> Any:
        return queued.decode_boxes(loc, priors, rows, variances=(0.1, 0.2), **options)

    def points(priors: Any, raw: Any, rows: Any, **options: Any) -> Any:
        return queued.decode_points(raw, priors, rows, variance=0.1, **options)

    for count, room in COUNTS:
        loc, raw = (random.normal(0, 2, (room, columns)).astype(np.float32) for columns in (4, 10))
        loc[3::17], raw[2::19] = NAN, -np.inf
        for to_frame in (None, ((320.0, 191.0), (1.7, 1.3), (-3.3, 0.1))):
            options = {"whole": 1, "count": number(count), "to_frame": to_frame}
            rows = random.integers(0, len(priors), room)
            yield partial(given_rows, boxes), (priors, loc, rows), options
            yield partial(given_rows, points), (priors, raw, rows), options


def assemble_masks() -> Iterator[Case]:
    def rescored(proto: Any, scores: Any, coeff: Any, boxes: Any, count: Any = None) -> Any:
        return queued.scores_of_masks(scores, proto, coeff, boxes, count)

    def masks(proto: Any, coeff: Any, boxes: Any, room: int, count: Any) -> Any:
        if on_host(count):
            coeff, boxes, count = coeff[: count[0]], boxes[: count[0]], None
        with patch.object(queued, "MASK_ROOM", room):
            found, parts = queued.fetch_masks(proto, coeff, boxes, (boxes, coeff), size=(27, 40), count=count)
        return *found, *parts

    random = np.random.default_rng(4)
    proto = np.maximum(random.normal(size=(9, 13, 5)), 0).astype(np.float32)
    proto[..., 0] = 1
    for count, room in ((0, 1), (1, 1), (3, 9), (8, 8)):
        coeff = np.tanh(random.normal(size=(room, 5))).astype(np.float32)
        coeff[::2, 0] = 9
        boxes, scores = np.resize(BOXES, (room, 4)), random.random(room).astype(np.float32)
        yield partial(given_rows, rescored), (proto, scores, coeff, boxes), {"whole": 1, "count": number(count)}
        for mask_room in (1 << 16, 200):  # the second is too little for more than one of the frame
            yield masks, (proto, coeff, boxes), {"room": mask_room, "count": number(count)}


CASES = {
    cases.__name__: cases
    for cases in (
        assemble_masks, best_classes, box_rows, class_nms, confident_rows, fast_nms, nms, ssd, take_rows, top_scores,
    )
}  # fmt: skip
"""Stem of a source -> its cases."""
