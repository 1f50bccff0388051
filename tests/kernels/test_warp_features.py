"""Features moved along a flow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import warp_features
from vidgraph.kernels.warp_features.reference import warp_features_reference

from ..tolerances import TOLERANCES
from .cases import all_devices, to_device, to_host

ROUNDING = TOLERANCES["warp, of the largest magnitude"][0]
SIZES = [(1, 1, 1), (2, 1, 5), (3, 6, 1), (5, 9, 17), (4, 35, 35)]


def random_case(channels: int, height: int, width: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    feature, scale, bias = random.normal(size=(3, channels, height, width)).astype(np.float32)
    flow = random.normal(0, 4, (2, height, width)).astype(np.float32)  # a good part of it points outside
    return feature, flow, scale, bias


@pytest.mark.parametrize("device", all_devices("warp_features"))
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("shifted", [False, True])
def test_matches_reference(device: str, size: tuple[int, int, int], scaled: bool, shifted: bool) -> None:
    feature, flow, scale, bias = random_case(*size)
    further = {"scale": scale if scaled else None, "bias": bias if shifted else None}
    on_device: Any = {name: None if array is None else to_device(array, device) for name, array in further.items()}
    warped = to_host(warp_features(to_device(feature, device), to_device(flow, device), **on_device))
    assert warped.dtype == np.float32
    expected = warp_features_reference(feature, flow, **further)
    np.testing.assert_allclose(warped, expected, atol=ROUNDING * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("size", [(5, 9, 17), (16, 69, 69)])
def test_equals_grid_sample(size: tuple[int, int, int]) -> None:
    torch = pytest.importorskip("torch", reason="compares with torch (the extra 'torch')")
    feature, flow, _, _ = random_case(*size, seed=1)
    y, x = torch.meshgrid(torch.linspace(-1, 1, size[1]), torch.linspace(-1, 1, size[2]), indexing="ij")
    grid = torch.stack([x, y], -1) + torch.from_numpy(flow).permute(1, 2, 0) / 8
    sampled = torch.nn.functional.grid_sample(torch.from_numpy(feature)[None], grid[None], align_corners=True)[0]
    largest = np.abs(feature).max()
    np.testing.assert_allclose(warp_features(feature, flow), sampled.numpy(), atol=2 * ROUNDING * largest)


def test_a_shift_in_pixels_by_hand() -> None:
    """On 17 pixels, a flow of 1 is one pixel: the ramp moves by it, and 0 comes in from outside."""
    ramp = np.broadcast_to(np.arange(1, 18, dtype=np.float32), (1, 17, 17)).copy()
    flow = np.zeros((2, 17, 17), np.float32)
    np.testing.assert_array_equal(warp_features(ramp, flow), ramp)
    flow[0] = 1.25
    warped = warp_features(ramp, flow)[0, 3]
    np.testing.assert_array_equal(warped[:15], np.arange(2.25, 17))
    np.testing.assert_array_equal(warped[15:], [0.75 * 17, 0])
    flow[0], flow[1] = 0, -1
    moved = warp_features(ramp, flow)[0]
    np.testing.assert_array_equal(moved[0], np.zeros(17))
    np.testing.assert_array_equal(moved[1:], ramp[0, 1:])


def test_positions_stay_within_a_hundredth_of_a_pixel() -> None:
    """A shift by 1.3 pixels at 69x69, read back from a ramp."""
    ramp = np.broadcast_to(np.arange(69, dtype=np.float32), (1, 69, 69)).copy()
    flow = np.zeros((2, 69, 69), np.float32)
    flow[0] = 1.3 * 16 / 68
    error = warp_features(ramp, flow)[0, :, :67] - (np.arange(67) + 1.3)
    assert np.abs(error).max() < 1e-4


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_a_flow_that_is_not_finite_gives_the_shift_alone(value: float) -> None:
    feature, flow, scale, bias = random_case(3, 8, 8)
    flow[:] = 0
    flow[1, 2, 5] = value
    warped = warp_features(feature, flow, scale=scale, bias=bias)
    np.testing.assert_array_equal(warped[:, 2, 5], bias[:, 2, 5])
    assert np.isfinite(warped).all()


def test_writes_where_it_is_told() -> None:
    feature, flow, _, bias = random_case(2, 4, 6)
    out = np.empty_like(feature)
    assert warp_features(feature, flow, bias=bias, out=out) is out
    np.testing.assert_array_equal(out, warp_features(feature, flow, bias=bias))


def test_refuses_with_the_reason() -> None:
    feature, flow, scale, _ = random_case(2, 4, 6)
    with pytest.raises(ValueError, match=r"warp_features: flow must be float32 \[2, 4, 6\], got float32 \[1, 4, 6\]"):
        warp_features(feature, flow[:1])
    with pytest.raises(ValueError, match=r"warp_features: scale must be float32 \[2, 4, 6\], got float64"):
        warp_features(feature, flow, scale=scale.astype(np.float64))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"warp_features: feature must be float32 \[N, N, N\], got float32 \[4, 6\]"):
        warp_features(feature[0], flow)
    with pytest.raises(ValueError, match=r"warp_features: out must not share memory with an input"):
        warp_features(feature, flow, out=feature)
