"""Runs of labels, against a walk down the columns pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import label_runs
from vidgraph.kernels.label_runs.reference import label_runs_reference

from .cases import all_devices, to_device, to_host


@pytest.mark.parametrize("device", all_devices("label_runs"))
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (70, 1), (13, 31), (13, 32), (9, 100)])
@pytest.mark.parametrize("change", [0.0, 0.02, 0.6])
def test_matches_reference(device: str, size: tuple[int, int], change: float) -> None:
    random = np.random.default_rng(5)
    labels = np.where(random.random(size) < change, random.integers(-2, 2, size), 3).astype(np.int32)
    values, lengths = label_runs(to_device(labels, device))
    want_values, want_lengths = label_runs_reference(labels)
    np.testing.assert_array_equal(to_host(values), want_values)
    np.testing.assert_array_equal(to_host(lengths), want_lengths)


@pytest.mark.parametrize("device", all_devices("label_runs"))
def test_runs_go_on_in_the_next_column(device: str) -> None:
    values, lengths = label_runs(to_device(np.array([[1, 2, 7], [2, 7, 7]], np.int32), device))
    assert to_host(values).tolist() == [1, 2, 7]
    assert to_host(lengths).tolist() == [1, 2, 3]
    assert (values.dtype, lengths.dtype) == (np.int32, np.int64)


@pytest.mark.parametrize("device", all_devices("label_runs"))
@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_no_pixels_no_runs(device: str, size: tuple[int, int]) -> None:
    values, lengths = label_runs(to_device(np.zeros(size, np.int32), device))
    assert (len(values), len(lengths)) == (0, 0)
    assert (values.dtype, lengths.dtype) == (np.int32, np.int64)


def test_refuses_other_arrays() -> None:
    with pytest.raises(ValueError, match=r"label_runs: labels must be int32 \[N, N\], got int64 \[2, 2\]"):
        label_runs(np.zeros((2, 2), np.int64))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="label_runs: labels must be C-contiguous"):
        label_runs(np.zeros((2, 4), np.int32)[:, ::2])
