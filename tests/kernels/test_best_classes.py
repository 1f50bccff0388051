"""The best class of each row of scores, and which rows are kept."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import best_classes
from vidgraph.kernels.best_classes.reference import best_classes_reference

from ..tolerances import TOLERANCES
from .cases import DeviceMemory, all_devices, to_device, to_host

ROUNDING = TOLERANCES["softmax, relative"][0]
LAYOUTS = ["rows", "wider rows", "columns", "wider columns", "both strided", "backwards"]


def random_scores(rows: int, classes: int, seed: int) -> np.ndarray:
    """Rows of which a few are worth something; coarse numbers, so that classes are often equal."""
    random = np.random.default_rng(seed)
    scores = random.integers(0, 40, (rows, classes)) / 256
    scores[random.random(rows) < 0.1] *= 6
    return scores.astype(np.float32)


def laid_out(scores: np.ndarray, layout: str) -> np.ndarray:
    """The same numbers in another order in memory."""
    rows, classes = scores.shape
    if layout == "rows":
        return scores
    if layout == "wider rows":
        return np.concatenate([np.full((rows, 5), np.nan, np.float32), scores], axis=1)[:, 5:]
    if layout == "columns":
        return np.ascontiguousarray(scores.T).T
    if layout == "wider columns":
        wide = np.full((classes + 4, rows + 3), np.nan, np.float32)
        wide[4:, 1 : rows + 1] = scores.T
        return wide[4:, 1 : rows + 1].T
    wide = np.full((3 * rows, 2 * classes), np.nan, np.float32)
    wide[::3, ::2] = scores
    if layout == "both strided":
        return wide[::3, ::2]
    return wide[::3, ::2][::-1, ::-1].copy()[::-1, ::-1]


@pytest.mark.parametrize("device", all_devices("best_classes"))
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (15, 80), (16, 80), (17, 4), (700, 80), (1024, 1), (2501, 7)])
@pytest.mark.parametrize("min_score", [-1.0, 0.0, 0.25, 0.93])
def test_matches_reference(device: str, layout: str, shape: tuple[int, int], min_score: float) -> None:
    scores = random_scores(*shape, seed=sum(shape))
    objectness = np.random.default_rng(1).uniform(0.5, 1.5, (shape[0], 3)).astype(np.float32)[:, 1]
    for factor in (None, objectness):
        there, factor_there = to_device(laid_out(scores, layout), device), to_device(factor, device)
        rows, class_ids, kept = map(to_host, best_classes(there, min_score=min_score, objectness=factor_there))
        expected = best_classes_reference(scores, min_score, factor, sigmoid=False)
        assert (rows.dtype, class_ids.dtype, kept.dtype) == (np.int64, np.int32, np.float32)
        assert (rows.base, class_ids.base, kept.base) == (None, None, None)
        np.testing.assert_array_equal(rows, expected[0])
        np.testing.assert_array_equal(class_ids, expected[1])
        np.testing.assert_array_equal(kept, expected[2].astype(np.float32))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("min_score", [-1.0, 0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("factor", [None, 1.0, 3.0])
def test_sigmoid_matches_reference(layout: str, min_score: float, factor: float | None) -> None:
    random = np.random.default_rng(3)
    logits = random.normal(-4, 3, (1500, 9)).astype(np.float32)
    logits[7], logits[8], logits[1499, 4] = -200, 200, np.inf
    objectness = None if factor is None else random.uniform(-0.2, factor, 1500).astype(np.float32)
    rows, class_ids, kept = best_classes(
        laid_out(logits, layout), min_score=min_score, objectness=objectness, sigmoid=True
    )
    expected = best_classes_reference(logits, min_score, objectness, sigmoid=True)
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_array_equal(class_ids, expected[1])
    np.testing.assert_allclose(kept, expected[2], rtol=ROUNDING, atol=1e-37)


@pytest.mark.parametrize("sigmoid", [False, True])
def test_every_layout_gives_the_same_bits(sigmoid: bool) -> None:
    scores = np.random.default_rng(5).normal(size=(3000, 80)).astype(np.float32)
    results = [best_classes(laid_out(scores, layout), min_score=0.9, sigmoid=sigmoid) for layout in LAYOUTS]
    assert len(results[0][0]) > 100
    for result in results[1:]:
        for found, first in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(found.view(np.uint8), first.view(np.uint8))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_score_of_exactly_the_threshold_does_not_count(layout: str) -> None:
    scores = np.tile(np.array([[0.25], [np.nextafter(np.float32(0.25), np.float32(1))]], np.float32), (10, 3))
    np.testing.assert_array_equal(best_classes(laid_out(scores, layout), min_score=0.25)[0], np.arange(1, 20, 2))
    logits = np.zeros((20, 3), np.float32)  # sigmoid 0.5 exactly
    assert len(best_classes(laid_out(logits, layout), min_score=0.5, sigmoid=True)[0]) == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ties_go_to_the_lowest_class(layout: str) -> None:
    scores = np.full((40, 5), 0.5, np.float32)
    scores[:, 0] = 0.25
    assert (best_classes(laid_out(scores, layout), min_score=0.1)[1] == 1).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("column", [0, 3, 79])
def test_a_row_with_nan_is_never_kept(layout: str, sigmoid: bool, column: int) -> None:
    scores = np.full((50, 80), 9, np.float32)
    scores[17, column] = np.nan
    scores[49] = np.nan
    others = np.delete(np.arange(50), [17, 49])
    np.testing.assert_array_equal(best_classes(laid_out(scores, layout), min_score=-1.0, sigmoid=sigmoid)[0], others)
    objectness = np.ones(50, np.float32)
    objectness[3] = np.nan
    rows = best_classes(laid_out(scores, layout), min_score=-1.0, sigmoid=sigmoid, objectness=objectness)[0]
    np.testing.assert_array_equal(rows, np.delete(others, 3))


def test_infinite_numbers_are_numbers() -> None:
    scores = np.array([[-np.inf, 0.5], [np.inf, 1], [-np.inf, -np.inf]] * 10, np.float32)
    for layout in LAYOUTS:
        rows, class_ids, kept = best_classes(laid_out(scores, layout), min_score=0.0)
        np.testing.assert_array_equal(rows, np.delete(np.arange(30), np.arange(2, 30, 3)))
        np.testing.assert_array_equal(class_ids, [1, 0] * 10)
        np.testing.assert_array_equal(kept, [0.5, np.inf] * 10)


def test_the_factor_decides_by_the_product() -> None:
    """A factor below 0 turns the order around, but the best class stays the greatest number."""
    scores = np.array([[0.5, 0.9], [-2, -1], [0.4, 0.3]] * 20, np.float32)
    objectness = np.array([0.5, -1, 2] * 20, np.float32)
    for layout in LAYOUTS:
        rows, class_ids, kept = best_classes(laid_out(scores, layout), min_score=0.45, objectness=objectness)
        np.testing.assert_array_equal(rows, np.delete(np.arange(60), np.arange(0, 60, 3)))
        np.testing.assert_array_equal(class_ids, [1, 0] * 20)
        np.testing.assert_array_equal(kept, np.array([1, 0.8] * 20, np.float32))


def test_refuses_with_the_reason() -> None:
    good = np.zeros((4, 3), np.float32)
    odd = np.zeros(4, [("a", np.float32), ("b", np.uint8)])["a"].reshape(4, 1)
    for scores, message in (
        (good.astype(np.float64), r"best_classes: scores must be float32 \[A, C\], got float64 \[4, 3\]"),
        (good[0], r"got float32 \[3\]"),
        (good[:, :0], r"best_classes: scores must have at least one class, got \[4, 0\]"),
        (odd, r"strides of scores must be whole numbers, got \(5, .*copy it"),
        (DeviceMemory(), r"best_classes: scores must be a NumPy array in host memory"),
    ):
        with pytest.raises(ValueError, match=message):
            best_classes(scores, min_score=0.5)  # type: ignore[arg-type]
    for objectness, message in (
        (good, r"best_classes: objectness must be float32 \[A\], got float32 \[4, 3\]"),
        (good[:3, 0], r"best_classes: objectness must have the 4 rows of scores, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            best_classes(good, min_score=0.5, objectness=objectness)
