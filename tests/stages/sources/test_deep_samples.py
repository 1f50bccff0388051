"""Gray and RGB of more than 8 bits: rounded to the nearest, so that gray stays gray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from vidgraph.pipeline.packet import Packet
from vidgraph.stages.sinks.video import EncodeVideo
from vidgraph.stages.sources.av_picture import PictureReader
from vidgraph.stages.sources.deep_samples import DEEP_FORMATS
from vidgraph.stages.sources.images import read_image

from ...tolerances import TOLERANCES
from ..sinks.sinks import frame, read_video, write_all

SIZE = (6, 512)


def frame_of(form: str, samples: NDArray[Any]) -> av.VideoFrame:
    """A frame whose red, green, blue (or gray) are ``samples``, [H, W, 3] in the format's own bits."""
    height, width = samples.shape[:2]
    about = av.VideoFormat(form, width, height)
    made = av.VideoFrame(width, height, form)
    dtype: Any = ">u2" if about.is_big_endian else "<u2"
    opaque = np.full((height, width), (1 << about.components[0].bits) - 1)
    if about.is_planar and about.is_rgb:
        for channel, component in enumerate(about.components):
            rows = np.frombuffer(memoryview(made.planes[component.plane]), dtype).reshape(height, -1)
            rows[:, :width] = samples[..., channel] if channel < 3 else opaque
        return made
    order = ((2, 1, 0) if form.startswith("bgr") else (0, 1, 2)) if about.is_rgb else (0,)
    channels = [samples[..., channel] for channel in order]
    channels += [opaque] * (len(about.components) - len(channels))
    rows = np.frombuffer(memoryview(made.planes[0]), dtype).reshape(height, -1)
    rows[:, : width * len(channels)] = np.stack(channels, -1).reshape(height, -1)
    return made


@pytest.mark.parametrize("form", sorted(DEEP_FORMATS))
@pytest.mark.parametrize("kind", ["ramp", "colours"])
def test_every_format_is_rounded_to_the_nearest(form: str, kind: str) -> None:
    top = (1 << av.VideoFormat(form, 8, 8).components[0].bits) - 1
    if kind == "ramp":
        samples = np.broadcast_to(np.linspace(0, top, SIZE[1]).round()[None, :, None], (*SIZE, 3)).astype(np.int64)
    else:
        samples = np.random.default_rng(0).integers(0, top + 1, (*SIZE, 3))
    picture = PictureReader().read(frame_of(form, samples))
    wanted = np.rint(samples * (255 / top))
    assert picture.full_range
    if picture.format == "gray":
        np.testing.assert_array_equal(picture.planes[0], wanted[..., 0])
    else:
        np.testing.assert_array_equal(picture.rgb(), wanted)
    assert (kind != "ramp") or (picture.rgb() == picture.rgb()[..., :1]).all(), "gray stays gray, white stays white"


def test_gray_of_limited_range_keeps_its_range() -> None:
    samples = np.broadcast_to(np.array([0, 64, 512, 940, 1023])[None, :, None], (2, 5, 3))
    made = frame_of("gray10le", samples)
    made.color_range = 1
    picture = PictureReader().read(made)
    assert not picture.full_range
    assert picture.planes[0][0].tolist() == [0, 16, 128, 235, 255]


@pytest.mark.parametrize("form", ["rgb48be", "rgba64be", "gray16be", "ya16be"])
def test_a_png_of_16_bits_of_gray_is_gray_in_the_video_too(tmp_path: Path, form: str) -> None:
    levels = (np.arange(16) * 4369)[None, :, None].repeat(32, 0).repeat(8, 1)
    with av.open(str(tmp_path / "deep.png"), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.height, stream.width, stream.pix_fmt = 32, 128, form
        container.mux(stream.encode(frame_of(form, np.broadcast_to(levels, (32, 128, 3)))))
        container.mux(stream.encode(None))
    picture = read_image(tmp_path / "deep.png")
    np.testing.assert_array_equal(picture.rgb(), np.broadcast_to(levels // 257, (32, 128, 3)))
    write_all(EncodeVideo({"s": tmp_path / "out.mp4"}, picture=None), [Packet(frame(0, picture=picture))])
    shown = read_video(tmp_path / "out.mp4", pictures=True).pictures[0].astype(int)
    middles = shown[16, 4::8]
    assert np.ptp(middles, axis=1).max() <= TOLERANCES["gray of a written video"][0]
    assert np.abs(middles - levels[16, 4::8] // 257).max() <= TOLERANCES["encoded colour patch"][0]


def test_the_gray_of_the_case_is_gray(shared: Any) -> None:
    rgb = read_image(shared("cases/rgb16.png")).rgb().astype(int)
    gray = rgb[120:]  # below the red box
    assert np.ptp(gray, axis=2).max() == 0
