"""Softmax, threshold and top-k over rows of logits."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import confident_rows
from vidgraph.kernels.confident_rows.reference import confident_rows_reference, softmax_reference

from ..tolerances import TOLERANCES
from .cases import DeviceMemory, all_devices, to_device, to_host

ROUNDING = TOLERANCES["softmax, relative"][0]


def random_logits(rows: int, classes: int, seed: int, background: float = 6.0) -> np.ndarray:
    """Rows of which a tenth or so is worth something."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, classes))
    logits[:, 0] += background
    logits[random.random(rows) < 0.1, classes - 1] += 5
    return logits.astype(np.float32)


@pytest.mark.parametrize("device", all_devices("confident_rows"))
@pytest.mark.parametrize("rows", [0, 1, 500])
@pytest.mark.parametrize("classes", [2, 16, 17, 18, 41, 81, 100])
@pytest.mark.parametrize("min_score", [-1.0, 0.0, 0.05, 0.5, 1.0])
def test_matches_reference(device: str, rows: int, classes: int, min_score: float) -> None:
    logits = random_logits(rows, classes, seed=rows + classes)
    found, scores = map(to_host, confident_rows(to_device(logits, device), min_score=min_score, limit=10**9))
    assert (found.dtype, scores.dtype, found.base, scores.base) == (np.int64, np.float32, None, None)
    expected, expected_scores = confident_rows_reference(logits, min_score, 10**9)
    np.testing.assert_array_equal(found, expected)
    assert scores.shape == (len(found), classes - 1)
    np.testing.assert_allclose(scores, expected_scores, rtol=ROUNDING, atol=0)


@pytest.mark.parametrize("limit", [0, 1, 7, 30, 1000])
def test_a_limit_keeps_the_best_in_order_of_rows(limit: int) -> None:
    logits = random_logits(300, 41, seed=1)
    rows, scores = confident_rows(logits, min_score=0.05, limit=limit)
    expected, expected_scores = confident_rows_reference(logits, 0.05, limit)
    assert len(rows) == min(limit, 30) if limit < 30 else len(rows) >= 20
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(scores, expected_scores, rtol=ROUNDING, atol=0)


def test_ties_at_the_limit_keep_the_lower_row() -> None:
    logits = np.tile(random_logits(1, 5, seed=0, background=0.0), (6, 1))
    logits[4, 0] -= 9
    np.testing.assert_array_equal(confident_rows(logits, min_score=0.0, limit=3)[0], [0, 1, 4])


@pytest.mark.parametrize("step", [1, 3, -2])
@pytest.mark.parametrize("first", [0, 4])
def test_takes_rows_of_a_wider_table(step: int, first: int) -> None:
    logits = random_logits(200, 30, seed=2)[::step, first : first + 21]
    rows, scores = confident_rows(logits, min_score=0.1, limit=10**9)
    expected, expected_scores = confident_rows_reference(np.ascontiguousarray(logits), 0.1, 10**9)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(scores, expected_scores, rtol=ROUNDING, atol=0)


def test_a_score_of_exactly_the_threshold_does_not_count() -> None:
    """Equal logits of two classes: softmax 0.5 exactly."""
    logits = np.array([[1.5, 1.5], [1.5, np.nextafter(np.float32(1.5), np.float32(2))]], np.float32)
    np.testing.assert_array_equal(confident_rows(logits, min_score=0.5, limit=9)[0], [1])


def test_far_apart_and_huge_logits() -> None:
    """A threshold is a matter of differences: what is subtracted must not drown in the magnitude."""
    logits = np.array([[1e6, 1e6 - 2, 0], [1e6, 1e6 - 4, 0], [-1e6, -200, -1e6], [3e38, -3e38, 0]], np.float32)
    rows, scores = confident_rows(logits, min_score=0.05, limit=9)
    np.testing.assert_array_equal(rows, [0, 2])
    np.testing.assert_allclose(scores[:, 0], [np.exp(-2) / (1 + np.exp(-2)), 1.0], rtol=ROUNDING)


@pytest.mark.parametrize("classes", [3, 41, 81])
@pytest.mark.parametrize("column", [0, 1, -1])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_above_nothing(classes: int, column: int, value: float) -> None:
    logits = np.zeros((3, classes), np.float32)
    logits[:, 1] = 20
    logits[1, column] = value
    np.testing.assert_array_equal(confident_rows(logits, min_score=-1.0, limit=9)[0], [0, 2])


def test_minus_infinity_is_probability_nothing() -> None:
    logits = np.full((2, 4), -np.inf, np.float32)
    logits[1, 2] = -50
    rows, scores = confident_rows(logits, min_score=-1.0, limit=9)
    np.testing.assert_array_equal(rows, [1])
    np.testing.assert_allclose(scores, [[0, 1, 0]], atol=1e-37)


def test_scores_far_below_the_best_stay_accurate() -> None:
    """All differences that float32 probabilities can tell apart."""
    logits = np.linspace(-85, 0, 4001, dtype=np.float32).reshape(1, -1)
    scores = confident_rows(logits, min_score=0.0, limit=1)[1]
    exact = softmax_reference(logits)[:, 1:]
    far = TOLERANCES["softmax far below the best, relative"][0]
    np.testing.assert_allclose(scores, exact, rtol=far, atol=0)


def test_refuses_with_the_reason() -> None:
    good = np.zeros((4, 3), np.float32)
    for logits, message in (
        (good.astype(np.float64), r"confident_rows: logits must be float32 \[P, C\] with C >= 2, got float64 \[4, 3\]"),
        (good[0], r"got float32 \[3\]"),
        (good[:, :1], r"got float32 \[4, 1\]"),
        (good[:, ::2], r"the numbers of a row must be adjacent, got strides \(12, 8\)"),
        (DeviceMemory(), r"confident_rows: logits must be a NumPy array in host memory"),
    ):
        with pytest.raises(ValueError, match=message):
            confident_rows(logits, min_score=0.5, limit=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"confident_rows: limit must not be negative, got -1"):
        confident_rows(good, min_score=0.5, limit=-1)
