"""How a camera's picture is shown: one field of an interlaced one, turned and mirrored as the camera hangs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vidgraph.pipeline.errors import UsageError
from vidgraph.stages.sources.camera.options import CameraOptions
from vidgraph.stages.sources.one_field import one_field
from vidgraph.testing import make_clip

from .cameras import camera_and_reading


def test_one_field_of_an_interlaced_picture_is_shown_at_full_height() -> None:
    clip = make_clip(interlaced=True)
    with camera_and_reading(clip) as (_, reading):
        picture = reading.wait_for_frames(5)[-1].picture
        assert not picture.interlaced
        assert (picture.height, picture.width) == (240, 320)
        assert None not in reading.numbers
        luma = picture.planes[0].astype(int)
        np.testing.assert_array_equal(luma[1:-1:2], (luma[:-2:2] + luma[2::2]) // 2)
    with camera_and_reading(clip, deinterlace="off") as (_, reading):
        assert reading.wait_for_frames(5)[-1].picture.interlaced


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(8, 5), (7, 5), (2, 4), (1, 3), (6, 4, 2)])
def test_lines_between_are_the_mean(dtype: Any, shape: tuple[int, ...]) -> None:
    plane = np.random.default_rng(5).integers(0, np.iinfo(dtype).max + 1, shape, dtype)
    shown = one_field(plane)
    assert (shown.shape, shown.dtype) == (plane.shape, plane.dtype)
    for row in range(shape[0]):
        above, below = row - row % 2, row + row % 2
        below = above if below >= shape[0] else below
        np.testing.assert_array_equal(shown[row], (plane[above].astype(int) + plane[below]) // 2)


def test_a_camera_that_hangs_on_its_side_or_behind_a_mirror() -> None:
    def shown(**options: Any) -> Any:
        with camera_and_reading(**options) as (_, reading):
            frame = reading.wait_for_frames(1)[0]
            assert reading.source.status.size == (frame.picture.height, frame.picture.width)
            return frame.picture.planes[0]

    upright = shown()
    np.testing.assert_array_equal(shown(rotate=90), np.rot90(upright, -1))
    np.testing.assert_array_equal(shown(rotate=180), np.rot90(upright, 2))
    np.testing.assert_array_equal(shown(mirror=True), upright[:, ::-1])
    np.testing.assert_array_equal(shown(rotate=270, mirror=True), np.rot90(upright[:, ::-1], 1))


@pytest.mark.parametrize(
    "wrong",
    [{"rotate": 45}, {"deinterlace": "on"}, {"corrupt": "hide"}, {"transport": "tls"}],
    ids=lambda each: [*each],
)
def test_what_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(wrong))} must be one of"):
        CameraOptions(**wrong)
