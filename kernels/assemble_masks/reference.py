"""What ``assemble_masks`` means, in plain NumPy: whole maps and whole frames, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mask_probabilities_reference(
    proto: NDArray[np.float32],
    coeff: NDArray[np.float32],
    boxes: NDArray[np.float32],
    size: tuple[int, int],
    window: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
) -> NDArray[np.float64]:
    """The probability of each pixel of the frame, float64 ``[N, H, W]``; a mask is where it exceeds 0.5."""
    probabilities = _cut_probabilities(proto, coeff, boxes, window)
    return resize_reference(resize_reference(probabilities, size[0], 1, window[1::2]), size[1], 2, window[0::2])


def expected_mask_iou_reference(
    proto: NDArray[np.float32], coeff: NDArray[np.float32], boxes: NDArray[np.float32]
) -> NDArray[np.float64]:
    """What ``expected_mask_iou`` means: float64 ``[N]``."""
    probabilities = _cut_probabilities(proto, coeff, boxes, (0.0, 0.0, 1.0, 1.0))
    mask = probabilities > 0.5
    shared = np.where(mask, probabilities, 0.0).sum(axis=(1, 2))
    union = mask.sum(axis=(1, 2)) + np.where(mask, 0.0, probabilities).sum(axis=(1, 2))
    found: NDArray[np.float64] = np.where(mask.any(axis=(1, 2)), shared / np.maximum(union, 1e-300), 0.0)
    return found


def _cut_probabilities(
    proto: NDArray[np.float32],
    coeff: NDArray[np.float32],
    boxes: NDArray[np.float32],
    window: tuple[float, float, float, float],
) -> NDArray[np.float64]:
    """Of each prototype pixel, float64 ``[N, Hp, Wp]``; 0 outside the box and a pixel more on each side."""
    height, width = proto.shape[:2]
    logits = np.einsum("hwk,nk->nhw", proto.astype(np.float64), coeff.astype(np.float64))
    inside = np.zeros(logits.shape, np.bool_)
    for row, (x_a, y_a, x_b, y_b) in enumerate(boxes):
        x_in = inside_reference(np.array([x_a, x_b], np.float32), window[0::2], width)
        y_in = inside_reference(np.array([y_a, y_b], np.float32), window[1::2], height)
        inside[row] = y_in[:, None] & x_in[None, :]
    return np.where(inside, 1 / (1 + np.exp(-np.clip(logits, -700, 700))), 0.0)


def inside_reference(box: NDArray[np.float32], window: tuple[float, ...], count: int) -> NDArray[np.bool_]:
    """Which pixels lie between two edges that are one pixel farther apart on both sides and held in the map."""
    edges = np.sort(box * np.float32((window[1] - window[0]) * count) + np.float32(window[0] * count))
    low, high = max(edges[0] - np.float32(1), 0), min(edges[1] + np.float32(1), count)
    pixels = np.arange(count)
    return np.asarray((pixels >= low) & (pixels < high))


def resize_reference(
    maps: NDArray[np.float64], count: int, axis: int, window: tuple[float, ...] = (0.0, 1.0)
) -> NDArray[np.float64]:
    """Bilinear resize of a part of one axis, pixel centres at halves, held at the edges."""
    size = maps.shape[axis]
    share_of_map = window[0] + (np.arange(count) + 0.5) / count * (window[1] - window[0])
    at = np.clip(share_of_map * size - 0.5, 0, None)
    first = np.minimum(np.floor(at).astype(int), size - 1)
    second = np.minimum(first + 1, size - 1)
    shape = [1, 1, 1]
    shape[axis] = count
    share = (at - first).reshape(shape)
    return np.asarray(maps.take(first, axis) * (1 - share) + maps.take(second, axis) * share)
