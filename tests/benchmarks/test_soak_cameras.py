"""How the trend of a long run is told."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import theilslopes
from vidgraph.benchmarks.soak_cameras import slope_with_interval


@pytest.mark.parametrize("seed", range(5))
def test_a_slope_and_its_interval_are_those_of_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    x = np.arange(24) * 60.0
    y = 0.3 * x + 40 * random.standard_normal(24)
    told = theilslopes(y, x, alpha=0.95)
    slope, low, high = slope_with_interval(x, y)
    assert slope == pytest.approx(told.slope)
    assert (low, high) == pytest.approx((told.low_slope, told.high_slope), rel=0.05)
    assert low < 0.3 < high


def test_one_step_is_no_trend_and_a_small_leak_is() -> None:
    x = np.arange(24) * 60.0
    flat = 338_600.0 + np.tile([0.0, 3.0, -2.0], 8)
    step = np.where(x >= 20 * 60, 1382.0, 0.0)
    slope, low, high = slope_with_interval(x, flat + step)
    assert low <= 0 <= slope <= high
    assert high < 0.1
    leak = slope_with_interval(x, flat + 0.5 * x + step)
    assert leak[1] > 0.4
