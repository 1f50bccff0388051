"""Decoding on a card: where it is to be had, what is said where it is not, and its frames as arrays that stay there."""

from __future__ import annotations

import gc
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from vidgraph.kernels.cuda import driver, libcuda
from vidgraph.kernels.device import HOST, Device, DeviceArray, to_host
from vidgraph.pipeline.errors import SourceError, UsageError
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.sources import av_card
from vidgraph.stages.sources.av_card import CardDecoding, CardReport, card_planes
from vidgraph.stages.sources.av_picture import Orientation, PictureReader
from vidgraph.stages.sources.registry import open_source
from vidgraph.stages.sources.video import VideoSource

from ... import emulator
from ...emulator import card, codec
from ..clips import make_clip

CARD = Device("cuda")
needs_compiler = pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler")
needs_no_driver = pytest.mark.skipif(
    any(Path(folder, "libcuda.so.1").exists() for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib64")),
    reason="this machine has NVIDIA's driver",
)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    make_clip(tmp_path / "in.mp4", frames=5)
    return tmp_path / "in.mp4"


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> emulator.EmulatedDriver:
    found = card.plug_in(monkeypatch)
    codec.plug_in(monkeypatch)
    return found


def pictures(source: VideoSource) -> list[Picture]:
    source.open()
    try:
        return [frame.picture for frame in source.frames()]
    finally:
        source.close()


def test_no_driver_is_one_line_where_a_card_was_asked_for(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_drivers", [])
    monkeypatch.setattr(libcuda, "_NAME", "libnone.so.1")
    source = VideoSource(clip, decoder="cuda")
    expected = (
        r"^cannot decode .*in\.mp4 on cuda:0: NVDEC of cuda:0 is not to be had: there is no NVIDIA driver on this "
        r"machine \(libnone.so.1\); use decoder auto or cpu$"
    )
    with pytest.raises(SourceError, match=expected):
        source.open()


@needs_no_driver
@needs_compiler
@pytest.mark.parametrize("decoder", ["auto", "cuda"])
def test_ffmpegs_own_refusal(
    decoder: Any, clip: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything is there but what FFmpeg asks for."""
    card.plug_in(monkeypatch)
    source = VideoSource(clip, decoder=decoder, device=CARD)
    if decoder == "cuda":
        with pytest.raises(
            SourceError, match=r"on cuda:0: NVDEC of cuda:0 is not to be had: FFmpeg says 'Operation not"
        ):
            source.open()
        return
    with caplog.at_level(logging.WARNING, "vidgraph"):
        assert [picture.device for picture in pictures(source)] == [HOST] * 5
    assert source.decoder == "cpu"
    (line,) = caplog.messages
    assert "in.mp4: decoded by the CPU, as NVDEC of cuda:0 is not to be had: FFmpeg says" in line


@needs_compiler
def test_a_driver_without_its_library_for_video_is_said(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg would find out with the first frame, and go on without a word."""
    card.plug_in(monkeypatch)
    monkeypatch.setattr(av_card, "HWAccel", lambda *_, **__: SimpleNamespace(create=lambda codec: None))
    monkeypatch.setattr(av_card, "_NVDEC", "libnone.so.1")
    with pytest.raises(
        SourceError, match=r": NVDEC of cuda:0 is not to be had: libnone\.so\.1: cannot open shared obj"
    ):
        VideoSource(clip, decoder="cuda", device=CARD).open()


@needs_compiler
def test_the_same_pixels_on_the_card(
    clip: Path, emulated: emulator.EmulatedDriver, caplog: pytest.LogCaptureFixture
) -> None:
    expected = pictures(VideoSource(clip))
    source = VideoSource(clip, device=CARD)
    with caplog.at_level(logging.INFO, "vidgraph"):
        got = pictures(source)
    assert source.decoder == "cuda:0"
    assert [line for line in caplog.messages if "decoded by NVDEC on cuda:0" in line] == caplog.messages
    assert len(caplog.messages) == 1
    assert len(got) == len(expected) == 5
    for there, here in zip(got, expected, strict=True):
        assert (there.device, there.format) == (CARD, "nv12")
        assert all(isinstance(plane, DeviceArray) for plane in there.planes)
        np.testing.assert_array_equal(there.rgb(), here.rgb())
        assert (there.matrix, there.full_range, there.tags) == (here.matrix, here.full_range, here.tags)


@needs_compiler
@pytest.mark.parametrize("chosen", [{"decoder": "cpu"}, {"deterministic": True}, {"device": HOST}])
def test_the_cpu_decodes_where_nothing_asks_for_the_card(
    chosen: dict[str, Any], clip: Path, emulated: emulator.EmulatedDriver
) -> None:
    source = VideoSource(clip, **{"device": CARD, **chosen})
    assert {picture.device for picture in pictures(source)} == {HOST}
    assert source.decoder == "cpu"


@needs_compiler
def test_ten_bits_stay_ten(tmp_path: Path, emulated: emulator.EmulatedDriver) -> None:
    make_clip(tmp_path / "deep.mp4", frames=2, pix_fmt="yuv420p10le")
    (here, *_), (there, *_) = (pictures(VideoSource(tmp_path / "deep.mp4", device=at)) for at in (HOST, CARD))
    assert (there.device, there.format, here.format) == (CARD, "p010le", "yuv420p10le")
    np.testing.assert_array_equal(there.rgb(), here.rgb())


@needs_compiler
@pytest.mark.parametrize(("turn", "place"), [(Orientation(90), CARD), (Orientation(180, mirrored=True), HOST)])
def test_turned_on_the_card_and_mirrored_in_host_memory(
    turn: Orientation, place: Device, clip: Path, emulated: emulator.EmulatedDriver, caplog: pytest.LogCaptureFixture
) -> None:
    reader, whole = PictureReader(name="door"), PictureReader()
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            there = reader.read(codec.on_card(frame, CARD), orientation=turn)
            assert there.device == place
            np.testing.assert_array_equal(there.rgb(), whole.read(frame, orientation=turn).rgb())
    said = ["door: every picture is copied from the card to host memory, to be mirrored there"]
    assert caplog.messages == ([] if place == CARD else said)


@needs_compiler
def test_memory_goes_back_to_the_decoder_in_order(clip: Path, emulated: emulator.EmulatedDriver) -> None:
    """Our stream waits for the decoder's, and what the decoder does with the memory later waits for ours."""
    with av.open(str(clip)) as container:
        frame = codec.on_card(next(container.decode(video=0)), CARD)
    ours, orders = driver.driver().stream(CARD), emulated.library.orders
    orders.clear()
    luma, chroma = card_planes(frame)
    del frame
    assert orders == [(1, ours)] * 2
    assert luma.stream == ours
    assert not luma.flags.writeable
    del luma
    gc.collect()
    assert orders == [(1, ours)] * 2
    to_host(chroma[:1])
    orders.clear()
    del chroma
    gc.collect()
    assert set(orders) == {(ours, 1)}


@needs_compiler
def test_an_odd_picture_has_the_chroma_of_its_last_row_and_column(emulated: emulator.EmulatedDriver) -> None:
    frame = codec.on_card(av.VideoFrame(10, 6, "yuv420p"), CARD)
    luma, chroma = (plane.array for plane in frame.planes)
    odd = SimpleNamespace(
        planes=(
            codec.CardPlane(replace(luma, shape=(5, 9))),
            codec.CardPlane(replace(chroma, shape=(2, 4, 2))),  # as PyAV says it
        )
    )
    planes = card_planes(odd)  # type: ignore[arg-type]
    assert [plane.shape for plane in planes] == [(5, 9), (3, 5, 2)]


@pytest.mark.parametrize(
    ("accelerated", "reason"),
    [
        (False, "door: decoded by the CPU, as FFmpeg's decoder for it has no NVDEC (libdav1d in yuv420p, 8x4)"),
        (True, "door: decoded by the CPU, as cuda:0 does not take it in NVDEC (libdav1d in yuv420p, 8x4)"),
    ],
)
def test_what_the_card_does_not_take_is_said_once(
    accelerated: bool, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = CardDecoding(CARD, None)  # type: ignore[arg-type]
    report = CardReport("door", wanted)
    stream: Any = SimpleNamespace(codec_context=SimpleNamespace(name="libdav1d", is_hwaccel=accelerated))
    frame: Any = SimpleNamespace(format=SimpleNamespace(name="yuv420p"), width=8, height=4)
    for _ in range(3):
        report.look(stream, frame)
    assert report.decoder == "cpu"
    assert caplog.messages == [reason]


def test_an_unknown_decoder_is_refused() -> None:
    from vidgraph.pipeline.options import check_options

    with pytest.raises(UsageError, match=r"^decoder must be auto, cpu or cuda, got 'nvdec'$"):
        check_options({"decoder": "nvdec"})


def test_the_option_reaches_cameras_and_files(clip: Path) -> None:
    (source,) = open_source(clip, decoder="cuda", device=Device("cuda", 1))
    assert isinstance(source, VideoSource)
    assert source._place == ("cuda", Device("cuda", 1))
    (camera,) = open_source("rtsp://127.0.0.1:9/none", decoder="cuda", device=Device("cuda", 1))
    options = camera._options  # type: ignore[attr-defined]
    assert (options.decoder, options.device) == ("cuda", Device("cuda", 1))
