"""Drawing on planes on a device: where the arrays of what is drawn may lie."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import draw_boxes, draw_labels, draw_masks

from .cases import all_devices, random_planes, to_device, to_host
from .cuda_drawing import COLOURS, KINDS, draw_cases

DEVICES = all_devices("draw_boxes", "draw_labels", "draw_masks", "draw_points")[1:]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("format", ["nv12", "yuv444p"])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_what_lies_on_the_host_is_drawn_as_well(device: str, format: str, count: int) -> None:
    cases = list(draw_cases(count, [format], (37, 83)))
    assert len(cases) == len(KINDS)
    for function, (planes, *arrays), options in cases:
        drawn = function(to_device(planes, device), *arrays, **options)
        for plane, want in zip(drawn, function(planes, *arrays, **options), strict=True):
            np.testing.assert_array_equal(to_host(plane), want)


@pytest.mark.parametrize("device", DEVICES)
def test_refuses_arrays_that_lie_elsewhere_or_do_not_fit(device: str) -> None:
    planes, boxes, colors = random_planes("nv12", 6, 8), np.zeros((1, 4), np.float32), np.zeros((1, 3), np.uint8)
    with pytest.raises(ValueError, match=r"^draw_boxes: boxes must lie in host memory as the others do, got one on cu"):
        draw_boxes(planes, "nv12", to_device(boxes, device), colors, **COLOURS)
    with pytest.raises(
        ValueError, match=r"^draw_boxes: nv12: plane 1 must lie on cuda:0 as the others do, got a NumPy"
    ):
        draw_boxes((to_device(planes[0], device), planes[1]), "nv12", boxes, colors, **COLOURS)
    there, wide = to_device(planes, device), np.array([[0, 0, 9, 2]], np.int32)
    with pytest.raises(ValueError, match=r"^draw_masks: offsets must grow by the rows of each box"):
        draw_masks(there, "nv12", wide, np.zeros(3, np.uint8), np.array([0, 3], np.int64), colors, **COLOURS)
    far, text = np.array([[1 << 25, 0]], np.int32), np.zeros((2, 2), np.uint8)
    with pytest.raises(ValueError, match=r"^draw_labels: origins must lie within 16777216 pixels"):
        draw_labels(there, "nv12", [text], far, colors=colors, text_colors=colors, **COLOURS)
