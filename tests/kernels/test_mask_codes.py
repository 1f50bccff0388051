"""Run lengths and outlines from packed bits; what they enclose is tested with the masks of a frame."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import encode_runs, mask_outlines, rle_counts
from vidgraph.kernels.mask_codes import reference

from .cases import all_devices, to_device

SHAPES = [(1, 1), (1, 64), (3, 62), (5, 63), (9, 1), (20, 130), (40, 33)]
Box = tuple[int, int, int, int]


def random_mask(shape: tuple[int, int], share: float) -> np.ndarray:
    random = np.random.default_rng(shape[0] * 1000 + shape[1])
    coarse = random.random((shape[0] // 3 + 1, shape[1] // 5 + 1)) < share
    mask = np.repeat(np.repeat(coarse, 3, 0), 5, 1)[: shape[0], : shape[1]]
    return mask ^ (random.random(shape) < 0.05)


def packed(mask: np.ndarray, padding: int = 0) -> np.ndarray:
    """Rows padded to bytes, with ones where the padding is not to be 0."""
    wide = np.pad(mask, ((0, 0), (0, -mask.shape[1] % 8)), constant_values=bool(padding))
    return np.packbits(wide, axis=1).reshape(-1)


@pytest.mark.parametrize("device", all_devices())
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("padding", [0, 1])
def test_matches_reference(device: str, shape: tuple[int, int], share: float, padding: int) -> None:
    mask = random_mask(shape, share)
    for x, y, right, below in ((0, 0, 0, 0), (3, 2, 4, 0), (0, 5, 0, 1)):
        box = (x, y, x + shape[1], y + shape[0])
        frame = np.pad(mask, ((y, below), (x, right)))
        bits = to_device(packed(mask, padding), device)
        assert rle_counts(bits, box, size=frame.shape) == reference.rle_counts_reference(frame)  # type: ignore[arg-type]
        assert mask_outlines(bits, box) == reference.mask_outlines_reference(mask, (x, y))


@pytest.mark.parametrize("seed", range(10))
def test_noise_has_the_outlines_of_the_reference(seed: int) -> None:
    mask = np.random.default_rng(seed).random((23, 70)) < 0.4 + 0.03 * seed
    found = mask_outlines(packed(mask), (-4, 7, 66, 30))
    assert found == reference.mask_outlines_reference(mask, (-4, 7))
    assert all(isinstance(value, float) for outline in found for value in outline)


def test_runs_across_columns_are_one() -> None:
    """By hand: two full columns of three pixels, the second and third of four."""
    bits = packed(np.ones((3, 2), np.bool_))
    assert rle_counts(bits, (1, 0, 3, 3), size=(3, 4)) == reference.encode_runs_reference([3, 6, 3])
    assert rle_counts(bits, (2, 0, 4, 3), size=(3, 4)) == reference.encode_runs_reference([6, 6])


@pytest.mark.parametrize("box", [(2, 1, 2, 4), (0, 3, 5, 3), (0, 0, 0, 0)])
def test_empty_boxes(box: Box) -> None:
    nothing = np.zeros(0, np.uint8)
    assert rle_counts(nothing, box, size=(4, 5)) == reference.encode_runs_reference([20])
    assert mask_outlines(nothing, box) == []


@pytest.mark.parametrize("runs", [[], [0], [5], [0, 5], [1, 2, 3, 4, 5, 6], [0, 10**9, 3, 1, 10**12, 7, 1, 1]])
def test_runs_as_text(runs: list[int]) -> None:
    assert encode_runs(np.array(runs, np.int64)) == reference.encode_runs_reference(runs)


def test_refuses_with_the_reason() -> None:
    bits = np.zeros(4, np.uint8)
    with pytest.raises(ValueError, match=r"rle_counts: box must lie within 5x4, got \[0, 0, 6, 4\]"):
        rle_counts(bits, (0, 0, 6, 4), size=(4, 5))
    with pytest.raises(ValueError, match=r"rle_counts: bits must be uint8 \[3\], got uint8 \[4\]"):
        rle_counts(bits, (0, 0, 5, 3), size=(4, 5))
    with pytest.raises(ValueError, match=r"mask_outlines: box must be .* with x1 <= x2"):
        mask_outlines(bits, (3, 0, 2, 4))
    with pytest.raises(ValueError, match=r"mask_outlines: bits must be uint8 \[2\], got float32 \[2\]"):
        mask_outlines(np.zeros(2, np.float32), (0, 0, 8, 2))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"encode_runs: runs must be int64 \[N\], got int32 \[2\]"):
        encode_runs(np.zeros(2, np.int32))  # type: ignore[arg-type]
