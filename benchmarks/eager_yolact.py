"""YolactEdge as it is published, in plain torch: the formulation that :mod:`.bench_yolact` compares with; needs torch.

OpenCV decodes, torch resizes and normalises, the network runs in fp32 and eager mode, Fast NMS is the published
matrix form, and masks are made at the full size of the frame before they become RLE. The official code computes
some things that nothing reads, and some again for every frame; so does this one, and says so where it does.

Written from a description of the official code (haotian-liu/yolact_edge, MIT), not from its source.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..models.yolact_edge.config import CONFIGS, MEAN_RGB, SIZE, STD_RGB, VARIANCES
from ..models.yolact_edge.flow import resize_to as resize
from ..models.yolact_edge.priors import priors_of
from ..pipeline.types.picture import Size
from .harness import optional

INTERVAL = 5
"""Every fifth frame is a key frame."""
CONFIDENCE, MAX_IOU, TOP_K = 0.05, 0.5, 200

T = TypeVar("T")


class Found(NamedTuple):
    """Instances, best first: boxes [N, 4] relative corners, coefficients [N, 32], classes [N], scores [N]."""

    boxes: Tensor
    coeff: Tensor
    classes: Tensor
    scores: Tensor


class Instances(NamedTuple):
    """Instances in pixels of the frame: boxes int64 [N, 4], masks float32 [N, H, W] of 0 and 1."""

    boxes: Tensor
    classes: Tensor
    scores: Tensor
    masks: Tensor


@dataclass(slots=True)
class Times:
    """Wall milliseconds of every frame, by part, in the order of the frames."""

    parts: dict[str, list[float]] = field(default_factory=dict)

    def timed(self, part: str, call: Callable[[], T]) -> T:
        """What ``call`` gives, with its time kept."""
        started = time.perf_counter_ns()
        answer = call()
        self.parts.setdefault(part, []).append((time.perf_counter_ns() - started) / 1e6)
        return answer

    def medians(self) -> dict[str, float]:
        """Part -> median milliseconds."""
        return {part: statistics.median(samples) for part, samples in self.parts.items()}


class EagerYolact:
    """The video network with its own state for one stream.

    Args:
        network: of ``load_model("yolact-edge-vid…").network()``.
        limit: detections a frame, at most.
        size: (height, width) of the network's input.
    """

    def __init__(self, network: nn.Module, limit: int, size: Size = (SIZE, SIZE)) -> None:
        self.network, self.limit, self.size = network, limit, size
        self.priors = torch.from_numpy(priors_of(CONFIGS["yolact-edge-vid"], size).copy())
        self._state: tuple[Tensor, Tensor, Tensor] | None = None

    def predict(self, image: Tensor, *, key: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """loc, class probabilities, coefficients and prototypes of a frame [1, 3, H, W]."""
        levels = self._key(image) if key else self._non_key(image)
        outputs = self.network.fpn_phase_2(levels)
        proto = self._prototypes(outputs[0])
        loc, logits, coeff = self.network.prediction_layers[0](outputs)
        return loc, F.softmax(logits, -1), coeff, proto

    def _key(self, image: Tensor) -> list[Tensor]:
        levels, lateral = self.network.fpn_phase_1(self.network.backbone(image))
        self._state = levels[1], levels[2], lateral
        return list(levels)

    def _non_key(self, image: Tensor) -> list[Tensor]:
        """Levels from the state; the key frame's pre-convolution is computed again, and a flow of P3 for nothing."""
        assert self._state is not None, "the first frame is a key frame"
        network, (key4, key5, key_lateral) = self.network, self._state
        lateral = network.fpn_phase_1.lat_layers[-1](network.backbone(image, taps=1)[0])
        target, key = network.flow_net_pre_convs(lateral), network.flow_net_pre_convs(key_lateral)
        (flow4, scale4, bias4), (flow5, scale5, bias5) = flows(network.flow_net, torch.cat([target, key], 1))
        p4 = warp(key4, flow4) * scale4 + bias4
        p5 = warp(key5, flow5) * scale5 + bias5
        p3 = resize(p4, lateral) + lateral
        if network.spa is not None:
            p4, p5 = refined(network.spa, lateral, [p4, p5])
        return [p3, p4, p5]

    def _prototypes(self, p3: Tensor) -> Tensor:
        """The enlarged map, which has no negative value, goes through ReLU once more."""
        first, second, third, fourth, last = self.network.proto_net
        x = F.relu(third(F.relu(second(F.relu(first(p3))))))
        x = F.relu(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
        return F.relu(last(F.relu(fourth(x)))).permute(0, 2, 3, 1).contiguous()

    def detect(self, loc: Tensor, scores: Tensor, coeff: Tensor) -> Found | None:
        """Decode all priors, keep what is confident, suppress; None where nothing is confident."""
        boxes = decoded(loc, self.priors)
        by_class = scores.transpose(1, 0)[1:]
        keep = by_class.max(0).values > CONFIDENCE
        if not bool(keep.any()):
            return None
        return fast_nms(boxes[keep], coeff[keep], by_class[:, keep], self.limit)


def flows(net: nn.Module, pair: Tensor) -> tuple[Any, Any]:
    """Motions of P4 and P5; that of P3 is computed and dropped."""
    at_8 = net.conv1(pair)
    at_16 = net.conv2(at_8)
    at_32 = net.conv3(at_16)
    motion5 = net.pred3(at_32)
    up = [net.upfeat3(resize(at_32, at_16)), net.upflow3(resize(motion5[0], at_16))]
    joined = torch.cat([at_16, *up], 1)
    motion4 = net.pred2(joined)
    net.pred1(torch.cat([at_8, net.upfeat2(resize(joined, at_8)), net.upflow2(resize(motion4[0], at_8))], 1))
    return motion4, motion5


def warp(features: Tensor, flow: Tensor) -> Tensor:
    """Bilinear samples at every cell plus an eighth of ``flow``, in normalised coordinates."""
    height, width = features.shape[2:]
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], -1)[None]
    grid = grid + flow.permute(0, 2, 3, 1) / 8
    return F.grid_sample(features, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


def refined(spa: nn.Module, lateral: Tensor, levels: list[Tensor]) -> list[Tensor]:
    """P4 and P5 with what the frame itself shows; both inputs are normalised for nothing."""
    answers = []
    for level, conv in zip(levels, spa.refine_convs, strict=True):
        lateral = resize(lateral, level)
        F.normalize(lateral, dim=1)
        F.normalize(level, dim=1)
        answers.append(level + conv(torch.cat([level, lateral], 1)))
    return answers


def network_input(frame: NDArray[np.uint8], size: Size) -> Tensor:
    """BGR uint8 [H, W, 3] to float32 [1, 3, h, w], RGB."""
    pixels = torch.from_numpy(frame).float()[None].permute(0, 3, 1, 2).contiguous()
    mean, std = (torch.tensor(each[::-1])[None, :, None, None] for each in (MEAN_RGB, STD_RGB))
    pixels = (F.interpolate(pixels, size, mode="bilinear", align_corners=False) - mean) / std
    return pixels[:, (2, 1, 0)].contiguous()


def decoded(loc: Tensor, priors: Tensor) -> Tensor:
    """Relative corners [P, 4]."""
    centre = priors[:, :2] + loc[:, :2] * VARIANCES[0] * priors[:, 2:]
    extent = priors[:, 2:] * torch.exp(loc[:, 2:] * VARIANCES[1])
    corner = centre - extent / 2
    return torch.cat([corner, extent + corner], 1)


def fast_nms(boxes: Tensor, coeff: Tensor, scores: Tensor, limit: int) -> Found:
    """All classes at once: whatever a better box of its class overlaps is dropped, be that dropped itself or not."""
    scores, order = scores.sort(1, descending=True)
    order, scores = order[:, :TOP_K].contiguous(), scores[:, :TOP_K]
    classes, count = order.shape
    boxes = boxes[order.view(-1)].view(classes, count, 4)
    coeff = coeff[order.view(-1)].view(classes, count, -1)
    keep = overlaps(boxes).triu_(diagonal=1).max(1).values <= MAX_IOU
    numbers = torch.arange(classes)[:, None].expand_as(keep)[keep]
    boxes, coeff, scores = boxes[keep], coeff[keep], scores[keep]
    scores, best = scores.sort(0, descending=True)
    best, scores = best[:limit], scores[:limit]
    return Found(boxes[best], coeff[best], numbers[best], scores)


def overlaps(boxes: Tensor) -> Tensor:
    """Intersection over union of [C, N, 4] with itself: [C, N, N]."""
    low = torch.max(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.min(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(3)
    area = (boxes[:, :, 2:] - boxes[:, :, :2]).prod(2)
    return shared / (area[:, :, None] + area[:, None, :] - shared)


def assembled(found: Found, proto: Tensor, size: Size) -> Instances:
    """Masks of the size of the frame: product, sigmoid, crop, enlargement, threshold, each for all instances."""
    masks = torch.sigmoid(proto @ found.coeff.t())
    masks = cropped(masks, found.boxes).permute(2, 0, 1).contiguous()
    masks = F.interpolate(masks[None], size, mode="bilinear", align_corners=False)[0].gt_(0.5)
    x1, x2 = edges(found.boxes[:, 0], found.boxes[:, 2], size[1])
    y1, y2 = edges(found.boxes[:, 1], found.boxes[:, 3], size[0])
    return Instances(torch.stack([x1, y1, x2, y2], 1).long(), found.classes, found.scores, masks)


def cropped(masks: Tensor, boxes: Tensor) -> Tensor:
    """[h, w, N] with zeros outside of each box and a border of one cell."""
    height, width, count = masks.shape
    x1, x2 = edges(boxes[:, 0], boxes[:, 2], width, padding=1)
    y1, y2 = edges(boxes[:, 1], boxes[:, 3], height, padding=1)
    x = torch.arange(width).view(1, -1, 1).expand(height, width, count)
    y = torch.arange(height).view(-1, 1, 1).expand(height, width, count)
    return masks * ((x >= x1) & (x < x2) & (y >= y1) & (y < y2)).float()


def edges(first: Tensor, second: Tensor, extent: int, padding: int = 0) -> tuple[Tensor, Tensor]:
    """In pixels, in order, inside of 0 to ``extent``."""
    first, second = first * extent, second * extent
    low, high = torch.min(first, second), torch.max(first, second)
    return (low - padding).clamp(min=0), (high + padding).clamp(max=extent)


def encoded(instances: Instances) -> list[dict[str, Any]]:
    """One object with COCO RLE for each instance, each from its own full mask."""
    coco = optional("pycocotools.mask")
    assert coco is not None, "the comparison needs pycocotools"
    boxes, masks = instances.boxes.numpy(), instances.masks.numpy()
    classes, scores = instances.classes.tolist(), instances.scores.tolist()
    objects = []
    for row in range(len(boxes)):
        rle = coco.encode(np.asfortranarray(masks[row].astype(np.uint8)))
        mask = {"size": rle["size"], "counts": rle["counts"].decode("ascii")}
        box = boxes[row].tolist()
        objects.append({"class_id": classes[row], "score": scores[row], "box": box, "mask": mask})
    return objects


def frames_of(path: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """The first frames of a video, BGR uint8 [H, W, 3]; by OpenCV, or by PyAV where it is not installed."""
    cv2 = optional("cv2")
    if cv2 is None:
        import av

        with av.open(str(path)) as container:
            for _, frame in zip(range(count), container.decode(video=0), strict=False):
                yield frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
        return
    video = cv2.VideoCapture(str(path))
    try:
        for _ in range(count):
            read, picture = video.read()
            if not read:
                return
            yield picture
    finally:
        video.release()


def frame_of(eager: EagerYolact, picture: NDArray[np.uint8], times: Times, *, key: bool) -> Instances | None:
    """Everything of one frame but its RLE."""
    image = times.timed("preprocess", lambda: network_input(picture, eager.size))
    name = "key" if key else "non_key"
    loc, scores, coeff, proto = times.timed(name, lambda: eager.predict(image, key=key))
    found = times.timed("detect", lambda: eager.detect(loc[0], scores[0], coeff[0]))
    if found is None:
        return None
    return times.timed("masks", lambda: assembled(found, proto[0], picture.shape[:2]))


def run_eager(path: Path, eager: EagerYolact, output: Path, *, frames: int) -> tuple[int, Times]:
    """The first frames of a video to JSON lines, frame by frame, as a script around the published code does it.

    Returns:
        how many frames there were, and the times of the parts.
    """
    times, count = Times(), 0
    with torch.no_grad(), output.open("w", encoding="utf-8") as lines:
        pictures = frames_of(path, frames)
        while (picture := times.timed("decode", lambda: next(pictures, None))) is not None:
            instances = frame_of(eager, picture, times, key=count % INTERVAL == 0)
            objects = [] if instances is None else times.timed("rle", partial(encoded, instances))
            lines.write(json.dumps({"frame": count, "objects": objects}) + "\n")
            count += 1
    return count, times
