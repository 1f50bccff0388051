"""How far colours, textures and connected components come on synthetic scenes, without a network.

    python -m vidgraph.benchmarks.baseline_segments --every 10 -o benchmarks/results/baseline_hard.json

A scene where this finds the objects would be too easy to tell anything about models. Regions are connected
components of four maps of a frame: its colours and textures quantised into few and into many kinds by k-means, the
class that each pixel has most likely by its colour, texture and height in the picture, and whether that is a thing's.
A naive Bayes classifier of a region's colour, texture, size, place and shape gives its class and its score.
Everything is learnt from frames of the ``train`` split; the precision is COCO's, as ``vidgraph eval`` has it. Needs
OpenCV.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import class_nms
from ..pipeline.types.detections import Detections
from ..pipeline.types.masks import Masks
from ..training.datasets.dataset import DataSample, Dataset
from ..training.datasets.synthetic import open_synthetic
from ..training.evaluation.coco import CocoAp, Objects, Precision
from .harness import save

TRAIN = "synth:street?split=train&difficulty=hard&frames=1&clips=40"
JUDGED = "synth:street?split=hard"

KINDS = (10, 28)
"""Into so many colours and textures a frame is quantised."""
LEVELS = 12
"""Of each measure of a pixel, for the most likely class of pixels."""
MIN_AREA_PX, MAX_SHARE = 80, 0.4
"""Regions below, or above that share of the frame, are no candidates."""
MAX_IOU = 0.5
LIMIT = 100

Pixels = NDArray[np.float32]
"""[H, W, 5]: lightness, two chromas, texture energy, and height in the picture, each about 0..255."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A candidate: ``box`` int32 [4], ``mask`` bool within it, and its measures, float64 [F]."""

    box: NDArray[np.int32]
    mask: NDArray[np.bool_]
    measures: NDArray[np.float64]


def pixels_of(rgb: NDArray[np.uint8]) -> Pixels:
    """What is measured of every pixel; noise is taken out of the colours first."""
    import cv2

    calm = cv2.medianBlur(rgb, 5)
    lab = cv2.cvtColor(calm, cv2.COLOR_RGB2LAB).astype(np.float32)
    light = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    deviation = np.abs(light - cv2.GaussianBlur(light, (0, 0), 2))
    energy = np.minimum(255, 8 * cv2.GaussianBlur(deviation, (0, 0), 3))
    row = np.linspace(0, 255, len(rgb), dtype=np.float32)[:, None]
    return np.dstack([lab, energy, np.broadcast_to(row, energy.shape)])


def quantised(pixels: Pixels, kinds: int) -> NDArray[np.uint8]:
    """The nearest of ``kinds`` centres by colour and texture, found by k-means on this frame, uint8 [H, W]."""
    import cv2

    flat = np.ascontiguousarray(pixels[..., :4].reshape(-1, 4) * np.array((1, 1.6, 1.6, 0.5), np.float32))
    some = flat[:: max(1, len(flat) // 6000)]
    cv2.setRNGSeed(1)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1.0)
    _, _, centres = cv2.kmeans(some, kinds, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    weights = (centres**2).sum(axis=1)
    labels = np.empty(len(flat), np.uint8)
    for start in range(0, len(flat), 8192):  # as much as a cache holds
        part = flat[start : start + 8192]
        labels[start : start + 8192] = (weights - 2 * (part @ centres.T)).argmin(axis=1)
    return labels.reshape(pixels.shape[:2])


@dataclass(slots=True, eq=False)
class PixelClasses:
    """Naive Bayes of pixels: how often each class has each level of each measure."""

    counts: NDArray[np.float64]

    @classmethod
    def learnt(cls, frames: Iterable[tuple[Pixels, NDArray[np.int32]]], classes: int) -> PixelClasses:
        """From frames and the class of each of their pixels, -1 unknown."""
        counts = np.full((classes, 5, LEVELS), 1.0)
        for pixels, labels in frames:
            known = labels >= 0
            levels = _levels(pixels)[known]
            for measure in range(5):
                joint = labels[known] * LEVELS + levels[:, measure]
                counts[:, measure] += np.bincount(joint, minlength=classes * LEVELS).reshape(classes, LEVELS)
        return cls(counts)

    def table(self) -> NDArray[np.uint8]:
        """The most likely class for every combination of levels, every class as likely as the other beforehand."""
        chance = np.log(self.counts / self.counts.sum(axis=2, keepdims=True)).astype(np.float32)
        total = np.zeros((LEVELS,) * 5 + (len(chance),), np.float32)
        for measure in range(5):
            shape = [1] * 5 + [len(chance)]
            shape[measure] = LEVELS
            total += chance[:, measure].T.reshape(shape)
        return np.asarray(total.argmax(axis=-1).reshape(-1), np.uint8)


def _levels(pixels: Pixels) -> NDArray[np.int32]:
    return np.asarray(np.clip(pixels * np.float32(LEVELS / 256), 0, LEVELS - 1), np.int32)


def likely_classes(pixels: Pixels, table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The most likely class of each pixel, uint8 [H, W]."""
    levels = _levels(pixels)
    code = levels[..., 0]
    for measure in range(1, 5):
        code = code * LEVELS + levels[..., measure]
    return np.asarray(table[code])


def regions_of(pixels: Pixels, maps: Iterable[NDArray[np.uint8]]) -> list[Region]:
    """Connected components of the labels of each map, cleaned by a median, with the holes in them filled."""
    import cv2

    found = []
    for labels in maps:
        calm = cv2.medianBlur(labels, 5)
        for label in np.unique(calm).tolist():
            _, parts, rows, _ = cv2.connectedComponentsWithStats((calm == label).astype(np.uint8), connectivity=4)
            for number, (x, y, width, height, area) in enumerate(rows[1:].tolist(), 1):
                if MIN_AREA_PX <= area <= MAX_SHARE * labels.size:
                    mask = _filled(parts[y : y + height, x : x + width] == number)
                    found.append(_region(pixels, mask, x, y))
    return found


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    import cv2

    outside = np.pad((~mask).astype(np.uint8), 1, constant_values=1)
    cv2.floodFill(outside, None, (0, 0), 2)
    return np.asarray(outside[1:-1, 1:-1] != 2)


def _region(pixels: Pixels, mask: NDArray[np.bool_], x: int, y: int) -> Region:
    height, width = mask.shape
    rows, columns = pixels.shape[:2]
    area = int(np.count_nonzero(mask))
    inside = pixels[y : y + height, x : x + width, :4][mask].astype(np.float64)
    edge = int(np.count_nonzero(mask[:, 1:] != mask[:, :-1]) + np.count_nonzero(mask[1:] != mask[:-1])) + width + height
    place = [(y + height) / rows, abs((x + width / 2) / columns - 0.5)]
    shape = [np.log(area), np.log(width / height), area / (width * height), np.log(edge / np.sqrt(area))]
    shape.append(np.log(height) - 2 * place[0])  # how large it is for its distance
    measures = np.array([*inside.mean(axis=0), np.log1p(inside[:, 1:3].std()), *place, *shape])
    return Region(np.array((x, y, x + width, y + height), np.int32), mask, measures)


@dataclass(slots=True, eq=False)
class RegionClasses:
    """Gaussian naive Bayes of regions: means, deviations and shares of each class, background last."""

    means: NDArray[np.float64]
    deviations: NDArray[np.float64]
    shares: NDArray[np.float64]

    @classmethod
    def learnt(cls, measures: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> RegionClasses:
        """From measures [N, F] and classes [N], ``classes`` for background."""
        groups = [measures[labels == number] for number in range(classes + 1)]
        spread = measures.std(axis=0) + 1e-6
        means = [g.mean(axis=0) if len(g) else measures.mean(axis=0) for g in groups]
        deviations = [np.maximum(g.std(axis=0), 0.1 * spread) if len(g) > 1 else spread for g in groups]
        shares = np.array([len(g) + 1.0 for g in groups])
        return cls(np.array(means), np.array(deviations), shares / shares.sum())

    def chances(self, measures: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities [N, classes + 1]."""
        away = (measures[:, None] - self.means) / self.deviations
        logs = np.log(self.shares) - np.log(self.deviations).sum(axis=1) - 0.5 * (away**2).sum(axis=2)
        chances = np.exp(logs - logs.max(axis=1, keepdims=True))
        return np.asarray(chances / chances.sum(axis=1, keepdims=True))


@dataclass(slots=True, eq=False)
class Baseline:
    """Finds objects in a frame."""

    class_names: tuple[str, ...]
    by_pixel: NDArray[np.uint8]
    by_region: RegionClasses

    @classmethod
    def learnt(cls, dataset: Dataset, samples: Iterable[DataSample]) -> Baseline:
        """From frames with panoptic maps."""
        things = len(dataset.class_names)
        frames = [(pixels_of(each.frame.picture.rgb()), each) for each in samples]
        known = ((pixels, _pixel_labels(each)) for pixels, each in frames)
        by_pixel = PixelClasses.learnt(known, things + len(dataset.stuff_names)).table()
        measures, labels = [], []
        for pixels, each in frames:
            for region in regions_of(pixels, _maps(pixels, by_pixel, things)):
                measures.append(region.measures)
                labels.append(_region_label(region, each, things))
        return cls(dataset.class_names, by_pixel, RegionClasses.learnt(np.array(measures), np.array(labels), things))

    def find(self, rgb: NDArray[np.uint8]) -> Detections:
        """Objects with masks, best first."""
        pixels = pixels_of(rgb)
        regions = regions_of(pixels, _maps(pixels, self.by_pixel, len(self.class_names)))
        if not regions:
            return Detections.empty(self.class_names)
        chances = self.by_region.chances(np.array([each.measures for each in regions]))[:, :-1]
        classes, scores = chances.argmax(axis=1).astype(np.int32), chances.max(axis=1).astype(np.float32)
        boxes = np.array([each.box for each in regions], np.float32)
        rows = class_nms(boxes, scores, classes, max_iou=MAX_IOU, limit=LIMIT)
        masks = Masks.from_crops([(regions[row].box, regions[row].mask) for row in rows], rgb.shape[:2])
        return Detections(boxes[rows], scores[rows], classes[rows], self.class_names, masks)


def _maps(pixels: Pixels, by_pixel: NDArray[np.uint8], things: int) -> Iterator[NDArray[np.uint8]]:
    yield from (quantised(pixels, kinds) for kinds in KINDS)
    likely = likely_classes(pixels, by_pixel)
    yield likely
    yield (likely < things).astype(np.uint8)


def _pixel_labels(sample: DataSample) -> NDArray[np.int32]:
    panoptic = sample.truth.panoptic
    assert panoptic is not None
    table = np.full(int(panoptic.segment_ids.max()) + 1, -1, np.int32)
    for segment in panoptic.segments:
        table[segment.id] = segment.class_id
    return np.asarray(table[panoptic.segment_ids])


def _region_label(region: Region, sample: DataSample, background: int) -> int:
    """The class of the thing that it overlaps by at least half, or ``background``."""
    panoptic = sample.truth.panoptic
    assert panoptic is not None
    x1, y1, x2, y2 = region.box.tolist()
    ids, counts = np.unique(panoptic.segment_ids[y1:y2, x1:x2][region.mask], return_counts=True)
    shared = dict(zip(ids.tolist(), counts.tolist(), strict=True))
    area = int(np.count_nonzero(region.mask))
    for segment in panoptic.segments:
        both = shared.get(segment.id, 0)
        if segment.is_thing and 2 * both >= area + segment.area_px - both:
            return segment.class_id
    return background


def samples_of(address: str, every: int = 1) -> Iterator[DataSample]:
    """Every so many frames of each clip of synthetic scenes."""
    scenes = open_synthetic(address)
    for clip in range(scenes.settings.first, scenes.settings.first + scenes.settings.clips):
        yield from (scenes.sample(clip, index) for index in range(0, scenes.settings.frames, every))


def judged(baseline: Baseline, samples: Iterable[DataSample]) -> tuple[Precision, int]:
    """COCO's mask AP over frames, and how many there were."""
    ap = CocoAp(baseline.class_names)
    for sample in samples:
        rgb, truth = sample.frame.picture.rgb(), sample.truth
        found = baseline.find(rgb)
        ap.add(
            rgb.shape[:2],
            Objects.of(truth.objects, truth.objects.class_ids, truth.ignored),
            Objects.of(found, found.class_ids),
        )
    return ap.precision("mask"), len(ap)


def main() -> None:
    """Learn, judge, print; write with ``-o``."""
    parser = argparse.ArgumentParser(prog="python -m vidgraph.benchmarks.baseline_segments", description=__doc__)
    parser.add_argument("--train", default=TRAIN, help=f"address of frames to learn from (default {TRAIN})")
    parser.add_argument("--data", default=JUDGED, help=f"address of frames to judge by (default {JUDGED})")
    parser.add_argument("--every", type=int, default=2, help="one frame in so many is judged (default 2)")
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    started = time.process_time()
    learnt = list(samples_of(options.train))
    baseline = Baseline.learnt(open_synthetic(options.train), learnt)
    precision, frames = judged(baseline, samples_of(options.data, options.every))
    figures: dict[str, Any] = {
        "data": options.data, "judged_frames": frames, "one_frame_in": options.every,
        "learnt_from": options.train, "learnt_frames": len(learnt),
        **{f"mask {name}": value for name, value in precision.figures().items()},
        "classes": {name: {"AP": ap, "AP50": ap50} for name, (ap, ap50) in precision.classes.items()},
        "cpu_s": round(time.process_time() - started, 1),
    }  # fmt: skip
    for name, value in figures.items():
        print(f"{name}: {value}")
    if options.output:
        save(options.output, "baseline_segments", figures)


if __name__ == "__main__":
    main()
