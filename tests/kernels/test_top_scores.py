"""The best scores above a threshold."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import top_scores
from vidgraph.kernels.top_scores.reference import top_scores_reference

from .cases import DeviceMemory, all_devices, to_device, to_host


@pytest.mark.parametrize("device", all_devices("top_scores"))
@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 1000])
@pytest.mark.parametrize("limit", [0, 1, 10, 5000])
@pytest.mark.parametrize("min_score", [-1.0, 0.5, 0.99, 2.0])
def test_matches_reference(device: str, count: int, limit: int, min_score: float) -> None:
    scores = (np.random.default_rng(count).integers(0, 100, count) / 100).astype(np.float32)
    indices = to_host(top_scores(to_device(scores, device), min_score=min_score, limit=limit))
    assert indices.dtype == np.int64
    assert indices.base is None
    np.testing.assert_array_equal(indices, top_scores_reference(scores, min_score, limit))


@pytest.mark.parametrize("stride", [2, 3, -1])
def test_takes_a_column_of_a_table(stride: int) -> None:
    scores = np.random.default_rng(0).random(200).astype(np.float32)[::stride]
    np.testing.assert_array_equal(top_scores(scores, min_score=0.3, limit=50), top_scores_reference(scores, 0.3, 50))


def test_a_score_of_exactly_the_threshold_does_not_count() -> None:
    scores = np.array([0.02, np.nextafter(np.float32(0.02), np.float32(1))], np.float32)
    np.testing.assert_array_equal(top_scores(scores, min_score=0.02, limit=5), [1])


def test_ties_keep_the_lower_index_and_nan_is_above_nothing() -> None:
    scores = np.array([0.5, np.nan, 0.9, 0.5, np.inf, -np.inf, 0.5], np.float32)
    np.testing.assert_array_equal(top_scores(scores, min_score=-1.0, limit=4), [4, 2, 0, 3])


def test_refuses_with_the_reason() -> None:
    with pytest.raises(ValueError, match=r"top_scores: scores must be float32 \[N\], got float64 \[3\]"):
        top_scores(np.zeros(3), min_score=0.5, limit=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"top_scores: scores must be float32 \[N\], got float32 \[3, 1\]"):
        top_scores(np.zeros((3, 1), np.float32), min_score=0.5, limit=1)
    with pytest.raises(ValueError, match=r"top_scores: limit must not be negative, got -1"):
        top_scores(np.zeros(3, np.float32), min_score=0.5, limit=-1)
    with pytest.raises(ValueError, match=r"top_scores: scores must be a NumPy array in host memory"):
        top_scores(DeviceMemory(), min_score=0.5, limit=1)  # type: ignore[arg-type]
