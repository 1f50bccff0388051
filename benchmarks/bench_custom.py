"""From a YOLO's outputs to instances in a 1080p frame, beside the usual Python and beside YolactEdge's own path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.assemble_masks.reference import resize_reference
from ..models.custom.heads.yolo import YoloHead
from ..models.custom.heads.yolo_rows import Extras
from ..models.options import PostprocessOptions
from ..models.registry import find_model
from ..models.yolact_edge.config import CONFIGS, VARIANCES
from ..models.yolact_edge.postprocess import DecodeInstances
from ..models.yolact_edge.priors import priors_of
from ..pipeline.packet import DETECTIONS, Key
from ..pipeline.results.format import ResultKeys
from ..pipeline.types.affine import Affine
from ..pipeline.types.detections import Detections
from ..stages.inference.infer import RawOutputs
from .bench_masks import Scene, crop_edges, random_scene
from .harness import Case, Runs, cases_of, optional

FRAME, SIDE, SCALE = (1080, 1920), 640, 3.0
"""Letterboxed, a frame covers rows 140 to 500 of the input, and so rows 35 to 125 of the prototypes."""
TOP, BOTTOM = 35, 125
CLASSES, MASKS, NAMES = 80, 32, tuple(f"class {number}" for number in range(80))
YOLACT, YOLACT_SIZE = "yolact-edge-resnet50", (550, 550)
CANDIDATES = 10
"""Rows in which each object is found, all of them but one to be suppressed."""
MIN_SCORE, MAX_IOU = 0.25, 0.7

Arrays = dict[str, NDArray[np.float32]]
Found = tuple[NDArray[Any], NDArray[Any], list[NDArray[np.bool_]]]
"""Boxes float32 [D, 4] in the frame, classes [D], and masks, best first."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the two networks give for the same objects, and their boxes in the frame, best first."""

    yolo: Arrays
    yolact: Arrays
    boxes: NDArray[np.float32]


def cases(count: int = 20) -> Iterator[Case]:
    """All cases of this file; the boxes of the objects, at most 80, cover one frame together."""
    outputs = make_outputs(random_scene(count, 1.0), count)
    task = f"YOLO outputs -> {count} instances of 1920x1080"
    expected, moved, cv2 = _found(_ours(outputs.yolo)), outputs.yolo["output0"].nbytes, optional("cv2")
    runs: Runs = {
        "vidgraph": partial(_ours, outputs.yolo),
        "numpy + opencv": cv2 and partial(_usual, cv2, outputs.yolo, _over_the_frame),
        "the same, by box": cv2 and partial(_usual, cv2, outputs.yolo, _over_the_box),
    }
    yield from cases_of(task, runs, partial(_check, outputs=outputs, expected=expected), moved)
    own: Runs = {"yolact-edge's own": partial(_yolact, outputs.yolact)}
    yield from cases_of(task, own, partial(_check, outputs=outputs, expected=None), moved)


def make_outputs(scene: Scene, count: int) -> Outputs:
    """Every object in so many rows, in classes of their own, before a background that scores little."""
    random = np.random.default_rng(count)
    shaken = scene.boxes[:, None] + random.normal(0, 0.002, (count, CANDIDATES, 4)).astype(np.float32)
    scores = np.linspace(0.95, 0.5, count * CANDIDATES, dtype=np.float32).reshape(count, CANDIDATES)
    shaken = np.clip(shaken, 0, 1).reshape(-1, 4)
    of, flat = np.repeat(np.arange(count), CANDIDATES), scores.reshape(-1)
    best = shaken[::CANDIDATES] * np.array(FRAME[::-1] * 2, np.float32)
    yolo = _yolo_outputs(random, scene, shaken, flat, of)
    return Outputs(yolo, _yolact_outputs(random, scene, shaken, flat, of), best)


def _yolo_outputs(random: Any, scene: Scene, boxes: Any, scores: Any, of: Any) -> Arrays:
    """[1, 116, 8400] in pixels of the input, and prototypes [1, 32, 160, 160] that lie in the frame as the scene's."""
    count = sum((SIDE // stride) ** 2 for stride in (8, 16, 32))
    table = np.zeros((4 + CLASSES + MASKS, count), np.float32)
    table[:4] = random.uniform(10, 600, (4, count))
    table[4 : 4 + CLASSES] = random.random((CLASSES, count)) ** 8 * 0.2
    table[4 + CLASSES :] = random.normal(size=(MASKS, count))
    rows = random.choice(count, len(boxes), replace=False)
    corners = (boxes * np.array(FRAME[::-1] * 2) / SCALE + np.array([0, 4 * TOP] * 2)).T
    table[:4, rows] = np.concatenate([(corners[:2] + corners[2:]) / 2, corners[2:] - corners[:2]])
    table[4 + of, rows] = scores
    table[4 + CLASSES :, rows] = scene.coeff[of].T
    proto = np.zeros((1, MASKS, SIDE // 4, SIDE // 4), np.float32)
    maps = scene.proto.transpose(2, 0, 1).astype(np.float64)
    proto[0, :, TOP:BOTTOM] = resize_reference(resize_reference(maps, BOTTOM - TOP, 1), SIDE // 4, 2)
    return {"output0": table[None], "output1": proto}


def _yolact_outputs(random: Any, scene: Scene, boxes: Any, scores: Any, of: Any) -> Arrays:
    """Logits of the scores, and offsets from the priors in whose rows the objects are."""
    priors = priors_of(CONFIGS[YOLACT], YOLACT_SIZE)
    rows = random.choice(len(priors), len(boxes), replace=False)
    logits = random.normal(size=(len(priors), CLASSES + 1)).astype(np.float32)
    logits[:, 0] += 12
    logits[rows] = 0
    logits[rows, 1 + of] = np.log(CLASSES * scores / (1 - scores))
    centre, extent = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    loc, coeff = random.normal(size=(len(priors), 4)), random.normal(size=(len(priors), MASKS))
    loc[rows, :2] = (centre - priors[rows, :2]) / priors[rows, 2:] / VARIANCES[0]
    loc[rows, 2:] = np.log(extent / priors[rows, 2:]) / VARIANCES[1]
    coeff[rows] = scene.coeff[of]
    made = {"logits": logits, "loc": loc, "coeff": coeff, "proto": scene.proto}
    return {name: np.ascontiguousarray(array, np.float32)[None] for name, array in made.items()}


def _ours(outputs: Arrays) -> Detections:
    head = YoloHead("output0", CLASSES, columns_first=True, extras=Extras("output1", MASKS))
    affine = Affine((SCALE, SCALE), (0.0, -4 * TOP * SCALE))
    raw = RawOutputs(head.select_outputs(PostprocessOptions())(outputs), (SIDE, SIDE), affine)
    detections: Detections = head.decode(raw, FRAME, PostprocessOptions(), NAMES)[DETECTIONS]
    return detections


def _yolact(outputs: Arrays) -> Detections:
    family = find_model(YOLACT).family()
    choices = PostprocessOptions(min_score=MIN_SCORE, nms_iou=MAX_IOU)
    raw = RawOutputs(family.select_outputs(YOLACT, choices)(outputs), YOLACT_SIZE, Affine((1.0, 1.0)))
    stage = family.postprocess(YOLACT, choices, raw=Key("raw", RawOutputs), keys=ResultKeys(), stage_name="decode")
    if not isinstance(stage, DecodeInstances):
        raise AssertionError("YolactEdge decodes instances")
    return stage.decode(raw, FRAME)


def _usual(cv2: Any, outputs: Arrays, resized: Callable[..., NDArray[np.bool_]]) -> Found:
    """As scripts around exported networks have it: transpose, argmax, NMSBoxes, and each mask over the whole frame."""
    rows = outputs["output0"][0].T
    scores, class_ids = rows[:, 4 : 4 + CLASSES].max(axis=1), rows[:, 4 : 4 + CLASSES].argmax(axis=1)
    keep = scores > MIN_SCORE
    rows, scores, class_ids = rows[keep], scores[keep], class_ids[keep]
    sides = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, 2:4]], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(sides.astype(np.float64), scores, class_ids.astype(np.int32), MIN_SCORE, MAX_IOU)
    kept = np.asarray(kept)
    sides, class_ids, coeff = sides[kept], class_ids[kept], rows[kept, 4 + CLASSES :]
    corners = np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], axis=1)
    proto = outputs["output1"][0]
    maps = 1 / (1 + np.exp(-(coeff @ proto.reshape(MASKS, -1))))
    maps = maps.reshape(-1, *proto.shape[1:])
    boxes = (corners - np.array([0, 4 * TOP] * 2, np.float32)) * np.float32(SCALE)
    boxes = np.clip(boxes, 0, np.array(FRAME[::-1] * 2, np.float32))
    masks = []
    for box, corner, whole in zip(boxes, corners / 4, maps, strict=True):
        x1, y1, x2, y2 = crop_edges(corner, SIDE // 4)
        cropped = np.zeros_like(whole)
        cropped[y1:y2, x1:x2] = whole[y1:y2, x1:x2]
        masks.append(_within(box, resized(cv2, cropped[TOP:BOTTOM], (x1, y1 - TOP, x2, y2 - TOP))))
    return boxes, class_ids, masks


def _within(box: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask whose centres lie in its box."""
    x1, y1, x2, y2 = np.ceil(box - np.float32(0.5)).astype(int).tolist()
    cut = np.zeros_like(mask)
    cut[y1:y2, x1:x2] = mask[y1:y2, x1:x2]
    return cut


def _over_the_frame(cv2: Any, cropped: NDArray[np.float32], _: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    return np.asarray(cv2.resize(cropped, FRAME[::-1], interpolation=cv2.INTER_LINEAR) > 0.5)


def _over_the_box(cv2: Any, cropped: NDArray[np.float32], crop: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """More carefully written: only where the crop, and half a prototype pixel around it, lies in the frame."""
    step = FRAME[0] / (BOTTOM - TOP)
    low = np.maximum(np.array(crop[:2]) * step - step, 0).astype(int)
    high = np.minimum(np.array(crop[2:]) * step + step, FRAME[::-1]).astype(int)
    first = (low + 0.5) / step - 0.5
    places = np.array([[1 / step, 0, first[0]], [0, 1 / step, first[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (high - low).tolist()
    values = cv2.warpAffine(cropped, places, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros(FRAME, np.bool_)
    mask[low[1] : high[1], low[0] : high[0]] = values > 0.5
    return mask


def _found(detections: Detections) -> Found:
    masks = detections.masks
    if masks is None:
        raise AssertionError("instances have masks")
    return detections.boxes, detections.class_ids, [masks.full(row) for row in range(len(masks))]


def _check(run: Callable[[], Any], outputs: Outputs, expected: Found | None) -> None:
    """The planted boxes, best first; and, where they must be the same, the masks, but for a few undecided pixels.

    OpenCV cuts the padding off before it resizes, so that the first and last pixels of a frame may differ.
    """
    given = run()
    boxes, class_ids, masks = _found(given) if isinstance(given, Detections) else given
    assert class_ids.tolist() == list(range(len(outputs.boxes)))
    np.testing.assert_allclose(boxes, outputs.boxes, atol=0.01 if expected else 1.01)
    if expected is None:
        return
    for mask, wanted in zip(masks, expected[2], strict=True):
        inner = (mask != wanted)[6:-6]
        assert inner.sum() <= 4, f"a mask differs in {inner.sum()} of {wanted.sum()} pixels"
