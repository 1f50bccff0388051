"""Masks from prototypes and coefficients, against whole frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import assemble_masks, expected_mask_iou
from vidgraph.kernels.assemble_masks.reference import (
    expected_mask_iou_reference,
    mask_probabilities_reference,
    resize_reference,
)

from ..tolerances import TOLERANCES
from .cases import all_devices, to_device, to_host

UNDECIDED = TOLERANCES["mask probability"][0]

# (prototype height, width, channels), (frame height, width)
SIZES = [
    ((1, 1, 1), (1, 1)),
    ((1, 5, 3), (40, 7)),
    ((7, 3, 16), (9, 130)),
    ((13, 17, 32), (61, 83)),  # odd factors
    ((12, 16, 33), (96, 128)),
    ((9, 9, 32), (9, 9)),  # no resize
    ((20, 30, 17), (7, 11)),  # smaller than the prototypes
    ((23, 23, 32), (240, 400)),
]


def random_case(shape: tuple[int, int, int], count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    proto = np.maximum(random.normal(size=shape), 0).astype(np.float32)
    coeff = np.tanh(random.normal(size=(count, shape[2]))).astype(np.float32)
    boxes = random.uniform(-0.3, 1.3, (count, 4)).astype(np.float32)  # corners in any order, some outside
    return proto, coeff, boxes


def unpacked(found: Any, size: tuple[int, int]) -> np.ndarray:
    """Whole masks, bool [N, H, W]; asserts that boxes are tight and padding is 0."""
    boxes, bits, offsets = map(to_host, found)
    assert (boxes.dtype, bits.dtype, offsets.dtype) == (np.int32, np.uint8, np.int64)
    assert boxes.base is None
    assert bits.base is None
    assert offsets[0] == 0
    assert offsets[-1] == len(bits)
    full = np.zeros((len(boxes), *size), np.bool_)
    for row, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        rows = np.unpackbits(bits[offsets[row] : offsets[row + 1]].reshape(y2 - y1, (x2 - x1 + 7) // 8), axis=1)
        assert not rows[:, x2 - x1 :].any()
        full[row, y1:y2, x1:x2] = rows[:, : x2 - x1]
        if y2 > y1:
            assert full[row, y1].any()
            assert full[row, y2 - 1].any()
            assert full[row, :, x1].any()
            assert full[row, :, x2 - 1].any()
        else:
            assert (x1, y1, x2, y2) == (0, 0, 0, 0)
    return full


def assert_matches(masks: np.ndarray, probabilities: np.ndarray) -> None:
    differ = masks != (probabilities > 0.5)
    assert not (differ & (np.abs(probabilities - 0.5) > UNDECIDED)).any()


@pytest.mark.parametrize("device", all_devices("assemble_masks", "expected_mask_iou"))
@pytest.mark.parametrize(("shape", "size"), SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_matches_reference(device: str, shape: tuple[int, int, int], size: tuple[int, int], seed: int) -> None:
    case = random_case(shape, 6, seed)
    found = assemble_masks(*(to_device(array, device) for array in case), size=size)
    assert_matches(unpacked(found, size), mask_probabilities_reference(*case, size))


WINDOWS = [(0.0, 0.21875, 1.0, 0.78125), (0.3, 0.0, 0.55, 1.0), (0.0, 0.0, 0.01, 0.01), (0.7, 0.4, 1.0, 1.0)]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_a_window_matches_reference(
    window: tuple[float, float, float, float], shape: tuple[int, int, int], size: tuple[int, int]
) -> None:
    case = random_case(shape, 6, seed=5)
    found = assemble_masks(*case, size=size, window=window)
    assert_matches(unpacked(found, size), mask_probabilities_reference(*case, size, window))


@pytest.mark.parametrize("frame", [(90, 160), (160, 90), (80, 160)])  # landscape, portrait, odd factors
def test_a_window_is_a_part_of_the_whole_input(frame: tuple[int, int]) -> None:
    """The masks of a letterboxed input, cut out, are those of the frame, also along its border."""
    proto, coeff, boxes = random_case((20, 20, 32), 12, seed=6)
    height, width = frame
    top, left = (160 - height) // 2, (160 - width) // 2
    whole = (boxes * (width, height, width, height) + (left, top, left, top)).astype(np.float32) / 160
    window = (left / 160, top / 160, (left + width) / 160, (top + height) / 160)
    masks = unpacked(assemble_masks(proto, coeff, boxes, size=frame, window=window), frame)
    assert masks.any(axis=(1, 2)).sum() > 6
    probabilities = mask_probabilities_reference(proto, coeff, whole, (160, 160))
    assert_matches(masks, probabilities[:, top : top + height, left : left + width])


def test_beyond_the_window_prototypes_count_as_usual() -> None:
    """By hand: 4 columns, the frame covers the 2 in the middle; its outer quarters mix in those beside it."""
    proto = np.array([-9, 1, 1, -9], np.float32).reshape(1, 4, 1)
    coeff, boxes = np.ones((1, 1), np.float32), np.array([[0, 0, 1, 1]], np.float32)
    masks = unpacked(assemble_masks(proto, coeff, boxes, size=(1, 16), window=(0.25, 0.0, 0.75, 1.0)), (1, 16))
    expected = mask_probabilities_reference(proto, coeff, boxes, (1, 16), (0.25, 0.0, 0.75, 1.0)) > 0.5
    np.testing.assert_array_equal(masks, expected)
    assert masks[0, 0].tolist() == [False] + [True] * 14 + [False]
    whole = unpacked(assemble_masks(proto[:, 1:3], coeff, boxes, size=(1, 16)), (1, 16))
    assert whole.all()


def layouts(proto: np.ndarray) -> dict[str, np.ndarray]:
    """The same prototypes in other orders in memory."""
    height, width, channels = proto.shape
    wide = np.full((height, 2 * width, 3 * channels), np.nan, np.float32)
    wide[:, ::2, ::3] = proto
    rows = np.full((height + 1, width + 3, channels + 5), np.nan, np.float32)
    rows[1:, 3:, 5:] = proto
    planes = np.full((channels, height + 1, width + 7), np.nan, np.float32)
    planes[:, 1:, 7:] = proto.transpose(2, 0, 1)
    return {
        "planes": np.ascontiguousarray(proto.transpose(2, 0, 1)).transpose(1, 2, 0),
        "part of planes": planes[:, 1:, 7:].transpose(1, 2, 0),
        "part of rows": rows[1:, 3:, 5:],
        "strided": wide[:, ::2, ::3],
        "columns": np.asfortranarray(proto),
        "backwards": proto[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
    }


@pytest.mark.parametrize("shape", [(9, 40, 32), (5, 16, 33), (6, 15, 32), (3, 130, 7), (3, 20, 1)])
def test_every_layout_gives_the_same_bits(shape: tuple[int, int, int]) -> None:
    proto, coeff, boxes = random_case(shape, 8, seed=7)
    for window in ((0.0, 0.0, 1.0, 1.0), WINDOWS[0]):
        expected = assemble_masks(proto, coeff, boxes, size=(90, 160), window=window)
        assert len(expected[1]) > 0
        for name, view in layouts(proto).items():
            found = assemble_masks(view, coeff, boxes, size=(90, 160), window=window)
            for array, first in zip(found, expected, strict=True):
                np.testing.assert_array_equal(array, first, err_msg=name)
    overlaps = expected_mask_iou(proto, coeff, boxes)
    assert overlaps.any()
    for name, view in layouts(proto).items():
        np.testing.assert_array_equal(expected_mask_iou(view, coeff, boxes), overlaps, err_msg=name)


def test_where_process_mask_agrees() -> None:
    """Logits cut to the box, resized, above 0: the same where all that is mixed lies in the box on one side."""
    proto, coeff, boxes = random_case((24, 32, 32), 10, seed=8)
    boxes = np.sort(boxes.reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    size = (24 * 4, 32 * 4)
    logits = np.einsum("hwk,nk->nhw", proto.astype(np.float64), coeff.astype(np.float64))
    inside = np.zeros(logits.shape, np.bool_)
    for row, (x1, y1, x2, y2) in enumerate(boxes * np.float32([32, 24, 32, 24])):
        y, x = np.arange(24)[:, None], np.arange(32)
        inside[row] = (x >= x1) & (x < x2) & (y >= y1) & (y < y2)

    def resized(maps: np.ndarray) -> np.ndarray:
        return resize_reference(resize_reference(maps.astype(np.float64), size[0], 1), size[1], 2)

    theirs = resized(np.where(inside, logits, 0)) > 0
    on_one_side = (resized(inside & (logits > 0)) == 1) | (resized(inside & (logits <= 0)) == 1)
    ours = unpacked(assemble_masks(proto, coeff, boxes, size=size), size)
    assert on_one_side.mean() > 0.02
    np.testing.assert_array_equal(ours[on_one_side], theirs[on_one_side])
    assert (ours != theirs).any()


def test_equals_the_torch_formulation_at_full_size() -> None:
    torch = pytest.importorskip("torch", reason="compares with torch (the extra 'torch')")
    proto, coeff, boxes = random_case((138, 138, 32), 3, seed=4)
    proto[:] = np.repeat(np.repeat(proto[::6, ::6], 6, 0), 6, 1)[:138, :138]  # larger parts, straight edges
    size = (270, 480)
    maps = torch.sigmoid(torch.from_numpy(proto) @ torch.from_numpy(coeff).T)
    for row, box in enumerate(boxes):
        x1, x2 = sorted((float(box[0]) * 138, float(box[2]) * 138))
        y1, y2 = sorted((float(box[1]) * 138, float(box[3]) * 138))
        at = torch.arange(138)
        maps[:, (at < max(x1 - 1, 0)) | (at >= min(x2 + 1, 138)), row] = 0
        maps[(at < max(y1 - 1, 0)) | (at >= min(y2 + 1, 138)), :, row] = 0
    resized = torch.nn.functional.interpolate(maps.permute(2, 0, 1)[None], size, mode="bilinear", align_corners=False)
    masks = unpacked(assemble_masks(proto, coeff, boxes, size=size), size)
    assert masks.any()
    assert_matches(masks, resized[0].numpy())


def test_a_full_box_by_hand() -> None:
    """One prototype of 1 everywhere: the crop is the box and a pixel on each side, softened by the resize."""
    proto, coeff = np.ones((8, 8, 1), np.float32), np.full((1, 1), 20, np.float32)
    boxes = np.array([[0.25, 0.5, 0.5, 0.625]], np.float32)  # prototype columns 2-3, row 4: kept are 1-4, rows 3-5
    masks = unpacked(assemble_masks(proto, coeff, boxes, size=(8, 8)), (8, 8))
    expected = np.zeros((8, 8), np.bool_)
    expected[3:6, 1:5] = True
    np.testing.assert_array_equal(masks[0], expected)
    larger = unpacked(assemble_masks(proto, coeff, boxes, size=(80, 80)), (80, 80))
    assert larger[0, 45].nonzero()[0].tolist() == list(range(10, 50))  # half way to the next prototype pixel
    assert larger[0, :, 30].nonzero()[0].tolist() == list(range(30, 60))
    assert not larger[0, 30, 10]  # the corners are rounded
    assert not larger[0, :30].any()
    assert not larger[0, :, 50:].any()


@pytest.mark.parametrize("window", [(0.0, 0.0, 1.0, 1.0), WINDOWS[0], WINDOWS[3]])
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_limits_cut_masks_and_change_nothing_within(
    shape: tuple[int, int, int], size: tuple[int, int], window: tuple[float, float, float, float]
) -> None:
    proto, coeff, boxes = random_case(shape, 12, seed=9)
    whole = unpacked(assemble_masks(proto, coeff, boxes, size=size, window=window), size)
    random = np.random.default_rng(2)
    limits = random.integers(-20, 20 + max(size), (12, 4)).astype(np.int32)
    limits[0], limits[1], limits[2] = (0, 0, size[1], size[0]), (3, 2, 3, 9), (-(2**31), -(2**31), 2**31 - 1, 2**31 - 1)
    cut = unpacked(assemble_masks(proto, coeff, boxes, size=size, window=window, limits=limits), size)
    expected = np.zeros_like(whole)
    for row, (x1, y1, x2, y2) in enumerate(limits.tolist()):
        within = (slice(max(y1, 0), max(y2, 0)), slice(max(x1, 0), max(x2, 0)))
        expected[row][within] = whole[row][within]
    np.testing.assert_array_equal(cut, expected)


def test_limits_anywhere_within_the_words_of_a_row() -> None:
    proto, coeff, boxes = (
        np.ones((2, 2, 1), np.float32),
        np.full((1, 1), 9, np.float32),
        np.array([[0, 0, 1, 1]], np.float32),
    )
    for first in (0, 1, 63, 64, 65, 127, 128, 190):
        for width in (1, 2, 63, 64, 65, 130):
            limits = np.array([[first, 1, first + width, 3]], np.int32)
            masks = unpacked(assemble_masks(proto, coeff, boxes, size=(4, 200), limits=limits), (4, 200))
            expected = np.zeros((4, 200), np.bool_)
            expected[1:3, first : first + width] = True
            np.testing.assert_array_equal(masks[0], expected)


def test_at_the_borders_of_the_frame_nothing_is_softened() -> None:
    proto, coeff = np.ones((4, 4, 1), np.float32), np.full((2, 1), 5, np.float32)
    boxes = np.array([[-0.5, -1, 1.5, 2], [0, 0, 1, 1]], np.float32)
    found = assemble_masks(proto, coeff, boxes, size=(33, 77))
    assert unpacked(found, (33, 77)).all()


def test_bits_are_shifted_to_the_box() -> None:
    """Boxes that begin and end anywhere within the words of a wide frame."""
    proto, coeff = np.ones((4, 150, 1), np.float32), np.full((1, 1), 20, np.float32)
    for first in range(0, 140, 3):
        for width in (1, 7, 60):
            boxes = np.array([[(first + 1) / 150, 0, (first + 1 + width - 2) / 150, 1]], np.float32)
            case = (proto, coeff, boxes)
            masks = unpacked(assemble_masks(*case, size=(4, 301)), (4, 301))
            assert_matches(masks, mask_probabilities_reference(*case, (4, 301)))


@pytest.mark.parametrize(
    "box", [[np.nan, 0, 1, 1], [0, 0, 1, np.nan], [2, 0, 3, 1], [0, -3, 1, -2], [np.inf, 0, np.inf, 1]]
)
def test_nothing_inside_is_an_empty_mask(box: list[float]) -> None:
    proto, coeff = np.ones((6, 6, 2), np.float32), np.ones((3, 2), np.float32)
    boxes = np.array([[0, 0, 1, 1], box, [0, 0, 1, 1]], np.float32)
    masks = unpacked(assemble_masks(proto, coeff, boxes, size=(20, 20)), (20, 20))
    assert masks[[0, 2]].all()
    assert not masks[1].any()


def test_a_logit_that_is_not_a_number_is_no_mask() -> None:
    proto, coeff = np.full((6, 6, 2), np.nan, np.float32), np.ones((1, 2), np.float32)
    boxes = np.array([[0, 0, 1, 1]], np.float32)
    assert not unpacked(assemble_masks(proto, coeff, boxes, size=(20, 20)), (20, 20)).any()


def test_no_detections() -> None:
    proto = np.ones((6, 6, 2), np.float32)
    found = assemble_masks(proto, np.zeros((0, 2), np.float32), np.zeros((0, 4), np.float32), size=(20, 20))
    assert unpacked(found, (20, 20)).shape == (0, 20, 20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"proto": np.zeros((6, 6))}, r"assemble_masks: proto must be float32 \[N, N, N\], got float64 \[6, 6\]"),
        (
            {"coeff": np.zeros((1, 3), np.float32)},
            r"assemble_masks: coeff must be float32 \[1, 2\], got float32 \[1, 3\]",
        ),
        ({"boxes": np.zeros((1, 4))}, r"assemble_masks: boxes must be float32 \[N, 4\], got float64"),
        ({"size": (0, 5)}, r"assemble_masks: size must have 1 to 1048576 pixels along each side, got \(0, 5\)"),
        ({"proto": np.zeros((0, 5, 2), np.float32)}, r"assemble_masks: proto must have 1 to .* got \(0, 5\)"),
        ({"window": (0, 0, 1, 1.5)}, r"assemble_masks: window must be .* got \(0, 0, 1, 1.5\)"),
        ({"window": (0.5, 0, 0.5, 1)}, r"assemble_masks: window must be"),
        ({"window": (0, np.nan, 1, 1)}, r"assemble_masks: window must be"),
        (
            {"limits": np.zeros((2, 4), np.int32)},
            r"assemble_masks: limits must be int32 \[1, 4\], got int32 \[2, 4\]",
        ),
        ({"limits": np.zeros((1, 4))}, r"assemble_masks: limits must be int32 \[1, 4\], got float64"),
    ],
)
def test_refuses_with_the_reason(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"proto": np.zeros((6, 6, 2), np.float32), "coeff": np.zeros((1, 2), np.float32)}
    arguments |= {"boxes": np.zeros((1, 4), np.float32), "size": (5, 5)}
    with pytest.raises(ValueError, match=message):
        assemble_masks(**{**arguments, **change})


@pytest.mark.parametrize("device", all_devices("assemble_masks", "expected_mask_iou"))
@pytest.mark.parametrize("shape", [shape for shape, _ in SIZES])
@pytest.mark.parametrize("seed", range(3))
def test_expected_overlaps_match_reference(device: str, shape: tuple[int, int, int], seed: int) -> None:
    case = random_case(shape, 6, seed)
    found = to_host(expected_mask_iou(*(to_device(array, device) for array in case)))
    assert (found.dtype, found.base) == (np.float32, None)
    np.testing.assert_allclose(
        found, expected_mask_iou_reference(*case), rtol=0, atol=TOLERANCES["expected IoU of a mask"][0]
    )


def test_an_expected_overlap_by_hand() -> None:
    """Probabilities 0.9, 0.6 and 0.25 of three pixels: the mask is two of them."""
    odds = np.log(np.array([0.9 / 0.1, 0.6 / 0.4, 0.25 / 0.75], np.float32))
    proto, whole = odds.reshape(1, 3, 1), np.array([[0, 0, 1, 1]], np.float32)
    expected = (0.9 + 0.6) / (2 + 0.25)
    assert expected_mask_iou(proto, np.ones((1, 1), np.float32), whole)[0] == pytest.approx(expected, abs=1e-6)
    surer = expected_mask_iou(proto, np.full((1, 1), 20, np.float32), whole)[0]
    assert expected < surer < 1


def test_expected_overlap_is_how_well_masks_overlap_truth_drawn_from_their_probabilities() -> None:
    random = np.random.default_rng(3)
    proto, coeff, _ = random_case((40, 50, 32), 1, seed=11)
    proto *= 0.3
    probabilities = 1 / (1 + np.exp(-(proto @ coeff[0])))
    truths, mask = random.random((400, 40, 50)) < probabilities, probabilities > 0.5
    overlaps = (truths & mask).sum(axis=(1, 2)) / (truths | mask).sum(axis=(1, 2))
    found = expected_mask_iou(proto, coeff, np.array([[0, 0, 1, 1]], np.float32))[0]
    assert found == pytest.approx(overlaps.mean(), abs=4 * overlaps.std() / np.sqrt(len(overlaps)))


@pytest.mark.parametrize("box", [[np.nan, 0, 1, 1], [2, 0, 3, 1], [np.inf, 0, np.inf, 1]])
def test_nothing_is_expected_of_an_empty_mask(box: list[float]) -> None:
    proto, boxes = np.ones((6, 6, 2), np.float32), np.array([[0, 0, 1, 1], box, [0, 0, 1, 1]], np.float32)
    coeff = np.array([[9, 9], [9, 9], [-9, -9]], np.float32)
    assert expected_mask_iou(proto, coeff, boxes).tolist() == [pytest.approx(1), 0, 0]
    assert expected_mask_iou(np.full_like(proto, np.nan), coeff, boxes).tolist() == [0, 0, 0]
    assert expected_mask_iou(proto, coeff[:0], boxes[:0]).shape == (0,)


def test_expected_overlap_refuses_with_the_reason() -> None:
    proto, coeff, boxes = np.ones((6, 6, 2), np.float32), np.ones((1, 2), np.float32), np.zeros((1, 4), np.float32)
    with pytest.raises(ValueError, match=r"expected_mask_iou: coeff must be float32 \[1, 2\], got float32 \[1, 1\]"):
        expected_mask_iou(proto, coeff[:, :1], boxes)
    with pytest.raises(ValueError, match=r"expected_mask_iou: proto must have 1 to .* got \(0, 6\)"):
        expected_mask_iou(proto[:0], coeff, boxes)
