"""Masks from prototypes, overlay and RLE beside torch, NumPy and OpenCV, at 1920x1080."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import assemble_masks, draw_masks, expected_mask_iou, rle_counts
from ..kernels.assemble_masks.reference import (
    expected_mask_iou_reference,
    mask_probabilities_reference,
    resize_reference,
)
from ..pipeline.types.masks import Masks
from .harness import Case, Runs, cases_of, optional

SIZE = (1080, 1920)
ALPHA = 0.45


@dataclass(frozen=True, slots=True)
class Scene:
    """Prototypes [138, 138, 32], coefficients [N, 32], relative boxes [N, 4], colours uint8 [N, 3], frame RGB."""

    proto: NDArray[np.float32]
    coeff: NDArray[np.float32]
    boxes: NDArray[np.float32]
    colors: NDArray[np.uint8]
    frame: NDArray[np.uint8]


def cases(counts: tuple[int, ...] = (20, 100)) -> Iterator[Case]:
    """All cases of this file, with so many detections: 20 boxes cover one frame together, 100 cover 6.8."""
    for count in counts:
        scene = random_scene(count, 1.0 if count <= 20 else 6.8)
        yield from _mask_cases(scene)
        yield _letterboxed_case(scene)
        yield from _overlap_cases(scene)
        yield from _overlay_cases(scene)
        yield from _planar_cases(scene)
    yield from _rle_cases(random_scene(20, 1.0))


def random_scene(count: int, frames: float) -> Scene:
    """Objects with a coarse outline; the boxes together cover so many frames."""
    random = np.random.default_rng(count)
    proto = _random_planes(random, 138).transpose(1, 2, 0)
    width = np.minimum(np.sqrt(frames / count) * random.uniform(0.7, 1.4, count), 1)
    height = np.minimum(frames / count / width, 1)
    x, y = random.uniform(0, 1 - width), random.uniform(0, 1 - height)
    boxes = np.stack([x, y, x + width, y + height], axis=1)
    coeff = np.tanh(random.normal(size=(count, 32)))
    colors, frame = random.integers(0, 256, (count, 3), np.uint8), random.integers(0, 256, (*SIZE, 3), np.uint8)
    f32 = [np.ascontiguousarray(array, np.float32) for array in (proto, coeff, boxes)]
    return Scene(f32[0], f32[1], f32[2], colors, frame)


def _random_planes(random: np.random.Generator, side: int) -> NDArray[np.float32]:
    """Prototypes [32, side, side] with coarse outlines."""
    coarse = random.normal(size=(32, 15, 15))
    return np.maximum(resize_reference(resize_reference(coarse, side, 1), side, 2), 0).astype(np.float32)


def _letterboxed_case(scene: Scene) -> Case:
    """Prototypes as YOLO gives them: planes [32, 160, 160] of a square input, of which the frame covers 160 x 90."""
    planes, window = _random_planes(np.random.default_rng(3), 160), (0.0, 35 / 160, 1.0, 125 / 160)
    yolo = Scene(planes.transpose(1, 2, 0), scene.coeff, scene.boxes, scene.colors, scene.frame)
    run = partial(assemble_masks, yolo.proto, yolo.coeff, yolo.boxes, size=SIZE, window=window)
    task = f"{len(scene.boxes)} masks of 1920x1080, letterboxed planes"
    return Case(task, "vidgraph", run, partial(_check_masks, run, yolo, window), planes.nbytes)


def _mask_cases(scene: Scene) -> Iterator[Case]:
    task = f"{len(scene.boxes)} masks of 1920x1080"
    cv2, torch = optional("cv2"), optional("torch")
    runs: Runs = {
        "vidgraph": partial(_ours, scene),
        "opencv": cv2 and partial(_opencv_masks, cv2, scene),
        "torch": torch and partial(_torch_masks, torch, scene),
    }
    yield from cases_of(task, runs, partial(_check_masks, scene=scene), scene.proto.nbytes)


def _ours(scene: Scene) -> Any:
    return assemble_masks(scene.proto, scene.coeff, scene.boxes, size=SIZE)


def _check_masks(
    run: Callable[[], Any], scene: Scene, window: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
) -> None:
    """Every pixel of every twentieth mask, but for those near 1/2."""
    found = run()
    for row in range(0, len(scene.boxes), 20):
        one = slice(row, row + 1)
        (exact,) = mask_probabilities_reference(scene.proto, scene.coeff[one], scene.boxes[one], SIZE, window)
        wrong = (_full(found, row) != (exact > 0.5)) & (np.abs(exact - 0.5) > 1e-5)
        assert not wrong.any(), f"mask {row} differs in {wrong.sum()} pixels"


def _full(found: Any, row: int) -> NDArray[np.bool_]:
    if not isinstance(found, tuple):
        return np.asarray(found[row])
    boxes, bits, offsets = found
    return Masks(boxes, bits, offsets, SIZE).full(row)


def crop_edges(box: NDArray[np.float32], side: int) -> tuple[int, int, int, int]:
    """A box in pixels of prototypes of this side and one more on each side, as ours: x1, y1, x2, y2."""
    low, high = np.maximum(box[:2] - 1, 0), np.minimum(box[2:] + 1, side)
    x1, y1, x2, y2 = np.ceil(np.concatenate([low, high])).astype(int).tolist()
    return x1, y1, x2, y2


def _opencv_masks(cv2: Any, scene: Scene) -> list[NDArray[np.bool_]]:
    logits = scene.proto.reshape(-1, 32) @ scene.coeff.T
    maps = (1 / (1 + np.exp(-logits))).reshape(138, 138, -1)
    masks = []
    for row in range(len(scene.boxes)):
        x1, y1, x2, y2 = crop_edges(scene.boxes[row] * np.float32(138), 138)
        cropped = np.zeros((138, 138), np.float32)
        cropped[y1:y2, x1:x2] = maps[y1:y2, x1:x2, row]
        masks.append(cv2.resize(cropped, SIZE[::-1], interpolation=cv2.INTER_LINEAR) > 0.5)
    return masks


def _torch_masks(torch: Any, scene: Scene) -> Any:
    """As the published code writes it."""
    maps = torch.sigmoid(torch.from_numpy(scene.proto) @ torch.from_numpy(scene.coeff).t())
    boxes, at = torch.from_numpy(scene.boxes), torch.arange(138, dtype=torch.float32)
    low, high = (boxes[:, :2] * 138 - 1).clamp(min=0), (boxes[:, 2:] * 138 + 1).clamp(max=138)
    x_in = (at[:, None] >= low[None, :, 0]) & (at[:, None] < high[None, :, 0])
    y_in = (at[:, None] >= low[None, :, 1]) & (at[:, None] < high[None, :, 1])
    maps = (maps * (y_in[:, None] & x_in[None]).float()).permute(2, 0, 1).contiguous()
    interpolate = torch.nn.functional.interpolate
    return interpolate(maps[None], SIZE, mode="bilinear", align_corners=False)[0].gt_(0.5)


def _overlap_cases(scene: Scene) -> Iterator[Case]:
    task = f"expected overlaps of {len(scene.boxes)} masks"
    runs: Runs = {
        "vidgraph": partial(expected_mask_iou, scene.proto, scene.coeff, scene.boxes),
        "numpy": partial(_numpy_overlaps, scene),
    }
    yield from cases_of(task, runs, partial(_check_overlaps, scene=scene), scene.proto.nbytes)


def _numpy_overlaps(scene: Scene) -> list[float]:
    """Box by box."""
    overlaps = []
    for row, coefficients in enumerate(scene.coeff):
        x1, y1, x2, y2 = crop_edges(scene.boxes[row] * np.float32(138), 138)
        inside = 1 / (1 + np.exp(-(scene.proto[y1:y2, x1:x2] @ coefficients)))
        mask = inside > 0.5
        pixels, shared = int(mask.sum()), float(inside[mask].sum())
        overlaps.append(shared / (pixels + float(inside.sum()) - shared) if pixels else 0.0)
    return overlaps


def _check_overlaps(run: Callable[[], Any], scene: Scene) -> None:
    expected = expected_mask_iou_reference(scene.proto, scene.coeff, scene.boxes)
    assert np.abs(np.asarray(run()) - expected).max() < 1e-4


def _overlay_cases(scene: Scene) -> Iterator[Case]:
    task = f"{len(scene.boxes)} masks, drawn on 1920x1080 RGB"
    frame, cv2, torch = scene.frame.copy(), optional("cv2"), optional("torch")
    runs: Runs = {
        "vidgraph": partial(_our_overlay, scene, frame),
        "opencv": cv2 and partial(_opencv_overlay, cv2, scene),
        "torch": torch and partial(_torch_overlay, torch, scene),
    }
    check = partial(_check_overlay, frame=frame, scene=scene, expected=_torchless_overlay(scene))
    yield from cases_of(task, runs, check, 2 * scene.frame.nbytes + scene.proto.nbytes)


def _torchless_overlay(scene: Scene) -> NDArray[np.float32]:
    """What is expected, in floats."""
    picture, found = scene.frame.astype(np.float32), _ours(scene)
    for row, color in enumerate(scene.colors):
        mask = _full(found, row)
        picture[mask] = picture[mask] * np.float32(1 - ALPHA) + color * np.float32(ALPHA)
    return picture


def _check_overlay(run: Callable[[], Any], frame: NDArray[Any], scene: Scene, expected: NDArray[np.float32]) -> None:
    """Rounding to bytes after every mask adds up to two steps; a few pixels are undecided."""
    frame[:] = scene.frame
    off = np.abs(np.asarray(run()).astype(np.float32) - expected) > 2.5
    assert off.sum() < 1e-4 * off.size


def _our_overlay(scene: Scene, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """On one frame again and again, as nothing depends on what is in it."""
    boxes, bits, offsets = _ours(scene)
    draw_masks((frame,), "rgb24", boxes, bits, offsets, scene.colors, ALPHA, matrix="bt709", full_range=True)
    return frame


def _opencv_overlay(cv2: Any, scene: Scene) -> NDArray[np.uint8]:
    """Region by region."""
    picture = scene.frame.copy()
    for row, mask in enumerate(_opencv_masks(cv2, scene)):
        x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
        region = picture[y : y + height, x : x + width]
        if region.size:
            paint = np.empty_like(region)
            paint[:] = scene.colors[row]
            mixed = cv2.addWeighted(region, 1 - ALPHA, paint, ALPHA, 0)
            cv2.copyTo(mixed, mask[y : y + height, x : x + width].view(np.uint8), region)
    return picture


def _torch_overlay(torch: Any, scene: Scene) -> Any:
    """Mask by mask over the whole frame, in floats, as the published code does where it must save memory."""
    picture = torch.from_numpy(scene.frame).float()
    masks, colors = _torch_masks(torch, scene), torch.from_numpy(scene.colors).float()
    for row in range(len(masks)):
        mask = masks[row][:, :, None]
        picture = picture * (1 - ALPHA * mask) + mask * colors[row] * ALPHA
    return picture


def _planar_cases(scene: Scene) -> Iterator[Case]:
    """On the planes that a decoder gives and an encoder takes, masks given."""
    task = f"{len(scene.boxes)} given masks, drawn on 1920x1080 yuv420p"
    found, paints = _ours(scene), _paints(scene.colors)
    random = np.random.default_rng(5)
    before = [random.integers(0, 256, (SIZE[0] // part, SIZE[1] // part), np.uint8) for part in (1, 2, 2)]
    planes = [plane.copy() for plane in before]
    expected = _numpy_planar([plane.copy() for plane in before], found, paints)
    runs: Runs = {
        "vidgraph": partial(_our_planar, planes, found, scene.colors),
        "numpy": partial(_numpy_planar, planes, found, paints),
    }
    check = partial(_check_planar, planes=planes, before=before, expected=expected)
    yield from cases_of(task, runs, check, 2 * sum(plane.nbytes for plane in planes))


def _paints(colors: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """The colours in BT.709, full range, [N, 3]."""
    red, green, blue = (colors[:, c].astype(np.float64) for c in range(3))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    components = luma, 128 + (blue - luma) / 1.8556, 128 + (red - luma) / 1.5748
    return np.clip(np.stack(components, axis=1) + 0.5, 0, 255).astype(np.uint16)


def _our_planar(planes: list[NDArray[np.uint8]], found: Any, colors: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    boxes, bits, offsets = found
    draw_masks(planes, "yuv420p", boxes, bits, offsets, colors, ALPHA, matrix="bt709", full_range=True)
    return planes


def _numpy_planar(planes: list[NDArray[np.uint8]], found: Any, paints: NDArray[np.uint16]) -> list[NDArray[np.uint8]]:
    """Region by region, widened to whole chroma samples; these take the mean alpha of their four pixels."""
    boxes, bits, offsets = found
    alpha = np.uint16(ALPHA * 255 + 0.5)
    for row, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        packed = bits[offsets[row] : offsets[row + 1]].reshape(y2 - y1, (x2 - x1 + 7) // 8)
        mask = np.unpackbits(packed, axis=1, count=x2 - x1)
        alphas = np.pad(mask, ((y1 % 2, y2 % 2), (x1 % 2, x2 % 2))) * alpha
        height, width = alphas.shape
        means = (alphas.reshape(height // 2, 2, width // 2, 2).sum(axis=(1, 3), dtype=np.uint16) + 2) >> 2
        for plane, value, part in zip(planes, paints[row], (1, 2, 2), strict=True):
            region = plane[y1 // 2 * 2 // part :, x1 // 2 * 2 // part :][: height // part, : width // part]
            share = alphas if part == 1 else means
            total = region * (255 - share) + value * share + 128
            region[:] = (total + (total >> 8)) >> 8
    return planes


def _check_planar(run: Callable[[], Any], planes: Any, before: Any, expected: list[NDArray[np.uint8]]) -> None:
    for plane, old in zip(planes, before, strict=True):
        plane[:] = old
    for plane, want in zip(run(), expected, strict=True):
        assert np.array_equal(plane, want), f"{(plane != want).sum()} samples differ"


def _rle_cases(scene: Scene) -> Iterator[Case]:
    task = "RLE of 20 masks of 1920x1080"
    found = _ours(scene)
    full = [np.asfortranarray(_full(found, row).view(np.uint8)) for row in range(len(scene.boxes))]
    coco = optional("pycocotools.mask")
    runs: Runs = {"vidgraph": partial(_our_rles, *found), "pycocotools": coco and partial(_coco_rles, coco, full)}
    texts = _coco_rles(coco, full) if coco else _our_rles(*found)
    check = partial(_check_texts, expected=texts, runs=[_numpy_rle_length(mask) for mask in full])
    yield from cases_of(task, runs, check, found[1].nbytes)


def _our_rles(boxes: Any, bits: Any, offsets: Any) -> list[str]:
    starts, corners = offsets.tolist(), boxes.tolist()
    return [rle_counts(bits[starts[row] : starts[row + 1]], box, size=SIZE) for row, box in enumerate(corners)]


def _coco_rles(coco: Any, masks: list[NDArray[np.uint8]]) -> list[str]:
    return [coco.encode(mask)["counts"].decode() for mask in masks]


def _numpy_rle_length(mask: NDArray[np.uint8]) -> int:
    """How many runs there are."""
    pixels = mask.reshape(-1, order="F")
    return int(np.count_nonzero(np.diff(pixels, prepend=0))) + 1


def _check_texts(run: Callable[[], list[str]], expected: list[str], runs: list[int]) -> None:
    texts = run()
    assert texts == expected
    ends = [sum(not (ord(character) - 48) & 0x20 for character in text) for text in texts]
    assert ends == runs
