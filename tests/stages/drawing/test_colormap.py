"""The map of colours for numbers: equal steps are equally large to the eye."""

from __future__ import annotations

import numpy as np
from vidgraph.pipeline.drawing.colormap import STEPS, warm_colors


def test_lightness_grows_evenly() -> None:
    colors = warm_colors()
    assert (colors.shape, colors.dtype, colors.flags.writeable) == ((STEPS, 3), np.uint8, False)
    values = colors / 255.0
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    lightness = np.where(luminance > (6 / 29) ** 3, 116 * np.cbrt(luminance) - 16, luminance * (29 / 3) ** 3)
    expected = np.linspace(6, 94, STEPS)
    np.testing.assert_allclose(lightness, expected, atol=0.8)  # colours are rounded to 8 bits
    assert (np.diff(lightness) > -0.3).all()
    assert np.abs(np.diff(colors.astype(int), axis=0)).max() <= 6  # no jumps of hue
