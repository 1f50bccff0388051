"""Decoding on a card: where it is to be had, what is said where it is not, and its frames as arrays that stay there."""

from __future__ import annotations

import gc
import logging
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from vidgraph.kernels.cuda import driver, libcuda
from vidgraph.kernels.device import HOST, Device, DeviceArray, to_host
from vidgraph.pipeline.errors import SourceError, UsageError
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.sources import av_card
from vidgraph.stages.sources.av_card import CardDecoding, CardFault, CardReport, ShownPart, card_planes
from vidgraph.stages.sources.av_picture import Orientation, PictureReader
from vidgraph.stages.sources.played import PlayedCamera
from vidgraph.stages.sources.registry import open_source
from vidgraph.stages.sources.said import Said
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
    reader, whole = PictureReader(said=Said("door")), PictureReader()
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
    held = weakref.ref(frame.planes[1].array.owner.owner)  # the memory
    del frame
    assert orders == [(1, ours)] * 2
    assert luma.stream == ours
    assert not luma.flags.writeable
    del luma
    gc.collect()
    assert held() is not None
    to_host(chroma[:1])
    orders.clear()
    del chroma
    gc.collect()
    assert orders == [(ours, 1)]
    assert held() is None


TOP, LEFT = 4, 6
"""Rows and columns that a stream says are not to be shown; the columns are none that FFmpeg likes."""


@pytest.fixture(params=["libx264", "libx265"])
def cropped(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A stream, and the same that says that its sides are not to be shown."""
    name = {"libx264": "h264", "libx265": "hevc"}[request.param]
    options = {"x265-params": "log-level=none:lossless=1"} if request.param == "libx265" else None
    whole = make_clip(tmp_path / f"whole.{name}", frames=3, codec=request.param, options=options)
    part = tmp_path / f"part.{name}"
    edges = f"crop_left={LEFT}:crop_top={TOP}:crop_right=2:crop_bottom=2"
    with av.open(str(whole)) as source, av.open(str(part), "w") as target:
        stream = source.streams.video[0]
        edit = BitStreamFilterContext(f"{name}_metadata={edges}", stream)
        made = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            for edited in edit.filter(packet if packet.size else None):
                edited.stream = made
                target.mux(edited)
    return whole, part


def test_what_is_not_to_be_shown_is_left_out(cropped: tuple[Path, Path]) -> None:
    whole, part = (pictures(VideoSource(path)) for path in cropped)
    assert len(whole) == len(part) == 3
    for all_of_it, shown in zip(whole, part, strict=True):
        assert (shown.height, shown.width) == (64 - TOP - 2, 96 - LEFT - 2)
        for index, (plane, rest) in enumerate(zip(shown.host_planes, all_of_it.host_planes, strict=True)):
            row, column = (TOP, LEFT) if index == 0 else (TOP // 2, LEFT // 2)
            height, width = plane.shape
            np.testing.assert_array_equal(plane, rest[row : row + height, column : column + width])


@needs_compiler
@pytest.mark.parametrize("form", ["yuv420p", "yuv420p10le"])
def test_nor_is_it_shown_of_frames_on_the_card(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg leaves it there at the left and at the top."""
    card.plug_in(monkeypatch)
    codec.plug_in(monkeypatch, beyond=(TOP, LEFT))
    clip = make_clip(tmp_path / "in.mp4", frames=3, pix_fmt=form)
    given, expected = (pictures(VideoSource(clip, device=device)) for device in (CARD, HOST))
    assert {picture.device for picture in given} == {CARD}
    for there, here in zip(given, expected, strict=True):
        assert (there.height, there.width) == (here.height, here.width) == (64, 96)
        np.testing.assert_array_equal(there.rgb(), here.rgb())


def test_where_a_frame_begins_is_known_while_the_size_changes() -> None:
    """Frames of the size before come when the decoder is at the next one already."""
    context: Any = SimpleNamespace(height=60, width=90)
    shown = ShownPart(context)
    before: Any = SimpleNamespace(height=64, width=96)
    assert shown.begin(before) == (4, 6)
    context.height, context.width = 40, 50
    assert shown.begin(before) == (4, 6)
    assert shown.begin(SimpleNamespace(height=40, width=52)) == (0, 2)  # type: ignore[arg-type]


@needs_compiler
@pytest.mark.parametrize("decoder", ["auto", "cuda"])
def test_pictures_of_odd_size_are_decoded_by_the_cpu(
    decoder: Any, tmp_path: Path, emulated: emulator.EmulatedDriver, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip(
        tmp_path / "odd.webm", frames=3, size=(45, 63), codec="libvpx-vp9", options={"deadline": "realtime"}
    )
    expected, source = pictures(VideoSource(clip)), VideoSource(clip, decoder=decoder, device=CARD)
    given = pictures(source)
    assert source.decoder == "cpu"
    for there, here in zip(given, expected, strict=True):
        np.testing.assert_array_equal(there.rgb(), here.rgb())
    (line,) = caplog.messages
    assert line.endswith(
        "odd.webm: decoded by the CPU, as pictures of odd size are not for NVDEC (vp9 in yuv420p, 63x45)"
    )
    with clip.open("rb") as stream:
        piped = VideoSource("-", decoder=decoder, device=CARD, standard_input=stream)
        with pytest.raises(SourceError, match=r"^standard input: its pictures are 63x45, .*; use decoder cpu$"):
            piped.open()


@needs_compiler
def test_a_size_that_becomes_odd_on_the_card_is_an_error(emulated: emulator.EmulatedDriver) -> None:
    frame = codec.on_card(av.VideoFrame(10, 6, "yuv420p"), CARD)
    frame.width = 9
    with pytest.raises(CardFault, match=r"^door: its pictures are 9x6, and NVDEC is for even sizes; use decoder cpu$"):
        PictureReader(said=Said("door")).read(frame)


@needs_compiler
def test_a_card_that_fails_is_an_error_of_the_source(clip: Path, emulated: emulator.EmulatedDriver) -> None:
    """One that passes, unless the card is lost."""
    expected = r"^door: cannot take a picture over from the card: cannot wait for a stream of cuda:0: .*"
    for code, kind in ((2, CardFault), (700, SourceError)):
        frame = codec.on_card(av.VideoFrame(10, 6, "yuv420p"), CARD)
        emulated.library.fails["cuEventCreate"] = code
        with pytest.raises(SourceError, match=expected) as caught:
            PictureReader(said=Said("door")).read(frame)
        assert type(caught.value) is kind
        emulated.library.fails.clear()


@pytest.mark.parametrize(
    ("accelerated", "size", "reason"),
    [
        (False, (8, 4), "FFmpeg's decoder for it has no NVDEC (libdav1d in yuv420p, 8x4)"),
        (True, (8, 4), "cuda:0 does not take it in NVDEC (libdav1d in yuv420p, 8x4)"),
        (False, (8, 5), "pictures of odd size are not for NVDEC (libdav1d in yuv420p, 8x5)"),
    ],
)
def test_what_the_card_does_not_take_is_said_once(
    accelerated: bool, size: tuple[int, int], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """However often the stream is opened."""
    wanted = CardDecoding(CARD, None)  # type: ignore[arg-type]
    report = CardReport(Said("door"))
    stream: Any = SimpleNamespace(codec_context=SimpleNamespace(name="libdav1d", is_hwaccel=accelerated))
    frame: Any = SimpleNamespace(format=SimpleNamespace(name="yuv420p"), width=size[0], height=size[1])
    for _ in range(3):
        report.begin(wanted)
        for _ in range(2):
            report.look(stream, frame)
    assert report.decoder == "cpu"
    assert caplog.messages == [f"door: decoded by the CPU, as {reason}"]


@needs_compiler
def test_a_video_that_is_played_over_and_over_says_it_once(
    clip: Path, emulated: emulator.EmulatedDriver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(card: Device) -> None:
        raise OSError("libnone.so.1: no such file")

    camera = PlayedCamera(VideoSource(clip, device=CARD), frames=12)
    camera.open()
    with caplog.at_level(logging.INFO, "vidgraph"):
        assert len([*camera.frames()]) == 12
    assert len(caplog.messages) == 1
    caplog.clear()
    monkeypatch.setattr(av_card, "_tried", refuse)
    camera = PlayedCamera(VideoSource(clip, device=CARD), frames=12)
    camera.open()
    assert len([*camera.frames()]) == 12
    (line,) = caplog.messages
    assert line.endswith("decoded by the CPU, as NVDEC of cuda:0 is not to be had: libnone.so.1: no such file")


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
