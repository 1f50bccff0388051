"""The drawing stage on a card: the pixels of the CPU, and nothing of the picture in host memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import PIXEL_FORMATS
from vidgraph.kernels.device import HOST, Device, DeviceArray
from vidgraph.pipeline.packet import DETECTIONS, LANDMARKS, MATTE, Packet
from vidgraph.pipeline.types.maps import AlphaMatte
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.drawing.card_planes import new_card_planes
from vidgraph.stages.drawing.draw import ANNOTATED, Draw, draw_rgb

from ... import emulator
from ...emulator import card
from ..sinks.sinks import frame
from .test_draw import detections, landmarks

SIZE = (240, 320)
CARD = Device("cuda")

pytestmark = pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler")


@pytest.fixture(autouse=True)
def emulated(monkeypatch: pytest.MonkeyPatch) -> emulator.EmulatedDriver:
    return card.plug_in(monkeypatch)


def noise(format: str) -> Picture:
    layout, random = PIXEL_FORMATS[format], np.random.default_rng(3)
    planes = (random.integers(0, 2**layout.bits, shape) << layout.low_bits for shape in layout.shapes(*SIZE))
    rgb = layout.kind in ("packed_rgb", "gray")
    return Picture(format, tuple(plane.astype(layout.dtype) for plane in planes), matrix="rgb" if rgb else "bt709")


def annotated(picture: Picture, *, found: bool = True) -> Picture:
    packet = Packet(frame(0, picture=picture))
    if found:
        packet = packet.with_item(DETECTIONS, detections(masks=True, tracks=True)).with_item(LANDMARKS, landmarks())
    (out,) = Draw().process(packet)
    return out[ANNOTATED]


@pytest.mark.parametrize("format", [name for name in PIXEL_FORMATS if name != "gray"])
def test_draws_the_pixels_of_the_cpu(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = noise(format)
    expected, there = annotated(picture), picture.on(CARD)
    moved: list[Any] = []
    on = Picture.on
    monkeypatch.setattr(Picture, "on", lambda self, device: (moved.append(device), on(self, device))[1])
    got = annotated(there)
    assert moved == []
    assert (got.device, got.format) == (CARD, expected.format)
    for plane, want in zip(got.planes, expected.planes, strict=True):
        assert isinstance(plane, DeviceArray)
        np.testing.assert_array_equal(plane.to_host(), want)
    np.testing.assert_array_equal(draw_rgb(Packet(frame(0, picture=there))), picture.rgb())


def test_gray_is_drawn_in_host_memory() -> None:
    picture = noise("gray")
    got, expected = annotated(picture.on(CARD)), annotated(picture)
    assert got.device == HOST
    for plane, want in zip(got.planes, expected.planes, strict=True):
        np.testing.assert_array_equal(plane, want)


def test_a_frame_without_results_is_passed_on() -> None:
    there = noise("nv12").on(CARD)
    assert annotated(there, found=False) is there


@pytest.mark.parametrize("size", [(6, 10), (5, 255), (7, 257), (3, 256)])
def test_planes_lie_as_encoders_take_them(size: tuple[int, int]) -> None:
    planes = new_card_planes("nv12", *size, CARD)
    PIXEL_FORMATS["nv12"].check(planes)
    luma, chroma = planes
    assert luma.strides[0] % 256 == 0
    assert chroma.pointer == luma.pointer + size[0] * luma.strides[0]
    assert chroma.end <= luma.owner.end


@pytest.mark.parametrize("format", ["nv12", "rgb24"])
def test_what_is_behind_a_matte_is_drawn_on_the_card(format: str) -> None:
    """In blocks and levels, so that it differs a little from what the CPU blends."""
    alpha = np.tile(np.linspace(0, 255, SIZE[1]).astype(np.uint8), (SIZE[0], 1))
    shown = []
    for picture in (noise(format), noise(format).on(CARD)):
        (out,) = Draw().process(Packet(frame(0, picture=picture)).with_item(MATTE, AlphaMatte(alpha)))
        shown.append(out[ANNOTATED])
    assert shown[1].device == CARD
    for plane, want in zip(shown[1].on(HOST).host_planes, shown[0].host_planes, strict=True):
        assert np.abs(plane.astype(int) - want).max() <= 8
