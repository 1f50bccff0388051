"""Video files by NVENC: what it is given, and what is said where there is none."""

from __future__ import annotations

import errno
import gc
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from vidgraph.kernels import PIXEL_FORMATS
from vidgraph.kernels.cuda import driver
from vidgraph.kernels.cuda.driver import CudaError
from vidgraph.kernels.device import HOST, Device
from vidgraph.kernels.exchange import dlpack_capsule
from vidgraph.pipeline.errors import OutputError, UsageError
from vidgraph.pipeline.options import OPTIONS
from vidgraph.pipeline.packet import Packet
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.sinks import card_frames
from vidgraph.stages.sinks.card_frames import CardFrames, stays_on_card
from vidgraph.stages.sinks.encoder_frame import EncoderFrames
from vidgraph.stages.sinks.encoders import ENCODERS, PRESETS
from vidgraph.stages.sinks.output_file import OutputFile
from vidgraph.stages.sinks.video import EncodeVideo
from vidgraph.stages.sinks.video_file import VideoFile

from ... import emulator
from ...emulator import card, codec
from .sinks import frame, write_all, yuv_picture

CARD = Device("cuda")
needs_compiler = pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler")


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> emulator.EmulatedDriver:
    return card.plug_in(monkeypatch)


def nv12(number: int) -> Picture:
    picture = yuv_picture(number)
    luma, *chroma = picture.host_planes
    return Picture("nv12", (luma, np.stack(chroma, -1)), matrix="bt601")


def packets_of(pictures: list[Picture]) -> list[Packet]:
    return [Packet(frame(index, picture=picture)) for index, picture in enumerate(pictures)]


def coded(path: Path) -> list[tuple[bytes, int | None, int | None]]:
    """What a file has of each picture: its bits, its time and its length."""
    with av.open(str(path)) as container:
        return [(bytes(each), each.pts, each.duration) for each in container.demux(video=0) if each.size]


@needs_compiler
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_file_is_the_same_from_the_card(
    suffix: str, tmp_path: Path, emulated: emulator.EmulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec.plug_in(monkeypatch)
    given = [nv12(number) for number in range(6)]
    moved: list[Device] = []
    on = Picture.on
    for name, pictures in (("cpu", given), ("card", [picture.on(CARD) for picture in given])):
        with monkeypatch.context() as patch:
            patch.setattr(Picture, "on", lambda self, device: (moved.append(device), on(self, device))[1])
            moved.clear()
            write_all(EncodeVideo({"s": tmp_path / f"{name}{suffix}"}, picture=None), packets_of(pictures))
        assert (HOST in moved) == (name == "cpu")
    expected = coded(tmp_path / f"cpu{suffix}")
    assert coded(tmp_path / f"card{suffix}") == expected
    assert len(expected) == 6


@needs_compiler
@pytest.mark.parametrize("format", [*PIXEL_FORMATS])
def test_whatever_lies_on_the_card_is_encoded(
    format: str, emulated: emulator.EmulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As nv12 in one piece: what the stand-in for NVENC reads is what x264 would be given."""
    codec.plug_in(monkeypatch)
    layout, random = PIXEL_FORMATS[format], np.random.default_rng(5)
    for size in ((12, 18), (11, 17)):
        planes = (random.integers(0, 2**layout.bits, shape) << layout.low_bits for shape in layout.shapes(*size))
        rgb = layout.kind in ("packed_rgb", "gray")
        picture = Picture(
            format, tuple(plane.astype(layout.dtype) for plane in planes), matrix="rgb" if rgb else "bt709"
        )
        given = CardFrames(CARD).make(picture.on(CARD))
        assert (given.width, given.height) == (size[1] + size[1] % 2, size[0] + size[0] % 2)
        if format == "p010le" and stays_on_card(picture.on(CARD)):  # rounded on the card, dithered by swscale
            continue
        np.testing.assert_array_equal(given.to_ndarray(), EncoderFrames("nv12").make(picture).to_ndarray())


@needs_compiler
def test_the_encoder_is_given_few_places_that_it_may_register(
    emulated: emulator.EmulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVENC takes no memory in the order of a stream, and knows what it has registered by its address."""
    codec.plug_in(monkeypatch)
    frames, made, places = CardFrames(CARD), [], []
    monkeypatch.setattr(card_frames, "dlpack_capsule", lambda plane: (places.append(plane), dlpack_capsule(plane))[1])
    for number in range(6):
        made.append(frames.make(nv12(number).on(CARD)))
        assert places[0].pointer in emulated.library.fixed
        assert places[1].pointer == places[0].pointer + places[0].strides[0] * places[0].shape[0]
        places.clear()
        if number >= 2:
            del made[0]
    assert len(emulated.library.fixed) == 1  # the stand-in takes what it is given at once
    held = [frames._planes(nv12(number).on(CARD))[0] for number in range(3)]
    assert len({luma.pointer for luma, _ in held}) == len(emulated.library.fixed) == 3
    for number, planes in enumerate(held):
        np.testing.assert_array_equal(planes[0].to_host(), nv12(number).host_planes[0])
    del held, planes, frames
    gc.collect()
    assert not emulated.library.fixed


@needs_compiler
def test_a_card_without_room_is_passed_over(
    tmp_path: Path, emulated: emulator.EmulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec.plug_in(monkeypatch)
    given = packets_of([nv12(number).on(CARD) for number in range(3)])
    emulated.library.fails["cuMemAlloc_v2"] = 2
    write_all(EncodeVideo({"s": tmp_path / "cpu.mp4"}, picture=None), given)
    assert len(coded(tmp_path / "cpu.mp4")) == 3


@needs_compiler
def test_the_encoder_waits_for_what_was_drawn(
    emulated: emulator.EmulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec.plug_in(monkeypatch)
    picture = nv12(1).on(CARD)
    orders = emulated.library.orders
    orders.clear()
    CardFrames(CARD).make(picture)
    assert orders[0] == (driver.driver().stream(CARD), 1)


@needs_compiler
def test_auto_falls_back_and_says_why(
    tmp_path: Path, emulated: emulator.EmulatedDriver, caplog: pytest.LogCaptureFixture
) -> None:
    """FFmpeg's own refusal, with everything there but a card."""
    given = [nv12(number) for number in range(3)]
    with caplog.at_level(logging.WARNING, "vidgraph"):
        for name, pictures in (("cpu", given), ("card", [picture.on(CARD) for picture in given])):
            write_all(EncodeVideo({"s": tmp_path / f"{name}.mp4"}, picture=None), packets_of(pictures))
    (line,) = caplog.messages
    assert "card.mp4: encoded by the CPU, as h264_nvenc is not to be had: FFmpeg says '" in line
    assert (tmp_path / "card.mp4").read_bytes() == (tmp_path / "cpu.mp4").read_bytes()


@needs_compiler
def test_a_card_that_fails_is_no_encoder(
    tmp_path: Path, emulated: emulator.EmulatedDriver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise CudaError("get 9 bytes of memory of cuda:0: out of memory")

    monkeypatch.setattr(CardFrames, "make", fail)
    write_all(EncodeVideo({"s": tmp_path / "out.mp4"}, picture=None), packets_of([nv12(0).on(CARD)]))
    (line,) = caplog.messages
    assert line.endswith("as h264_nvenc is not to be had: get 9 bytes of memory of cuda:0: out of memory")
    sink = EncodeVideo({"s": tmp_path / "card.mp4"}, picture=None, encoder="h264_nvenc")
    with pytest.raises(OutputError, match=r": get 9 bytes .*; use encoder auto or libx264$"):
        write_all(sink, packets_of([nv12(0).on(CARD)]))


class Sessions:
    """NVENC with so many sessions, each of which a file takes with its first frame."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        self.most, self.open = most, set[int]()
        coded = VideoFile._coded

        def take(file: VideoFile, frame: Any) -> Any:
            if file._encoder.nvenc and id(file) not in self.open:
                if len(self.open) == self.most:
                    raise av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")
                self.open.add(id(file))
            return coded(file, frame)

        monkeypatch.setattr(VideoFile, "_coded", take)


@needs_compiler
def test_all_sessions_of_a_card_may_be_in_use(
    tmp_path: Path, emulated: emulator.EmulatedDriver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two streams begin at the same time, and there is room for one."""
    codec.plug_in(monkeypatch)
    sessions = Sessions(monkeypatch, 1)
    given = packets_of([nv12(number).on(CARD) for number in range(3)])
    write_all(EncodeVideo({"": tmp_path / "alone.mp4"}, picture=None), given)
    sessions.open.clear()
    both = {stream: tmp_path / f"{stream}.mp4" for stream in ("one", "two")}
    sink = EncodeVideo(both, picture=None)
    sink.open()
    for packet in given:
        for stream in both:
            sink.write(replace(packet, frame=replace(packet.frame, stream_id=stream)))
    sink.close()
    (line,) = caplog.messages
    assert line.endswith(
        "two.mp4: encoded by the CPU, as libx264 is not to be had: FFmpeg says 'Cannot allocate memory' (all its "
        "sessions may be in use)"
    )
    assert all(coded(path) == coded(tmp_path / "alone.mp4") for path in both.values())


@needs_compiler
def test_the_cpu_encodes_all_further_parts(
    tmp_path: Path, emulated: emulator.EmulatedDriver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    codec.plug_in(monkeypatch)
    Sessions(monkeypatch, 0)
    given = [nv12(0), nv12(1), replace(nv12(2), full_range=True), replace(nv12(3), full_range=True)]
    write_all(EncodeVideo({"s": tmp_path / "out.mp4"}, picture=None), packets_of([each.on(CARD) for each in given]))
    assert [len(coded(path)) for path in sorted(tmp_path.iterdir())] == [2, 2]
    assert sum("encoded by the CPU" in line for line in caplog.messages) == 1


@needs_compiler
def test_no_session_for_an_encoder_that_was_asked_for(
    tmp_path: Path, emulated: emulator.EmulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec.plug_in(monkeypatch)
    Sessions(monkeypatch, 0)
    sink = EncodeVideo({"s": tmp_path / "out.mp4"}, picture=None, encoder="h264_nvenc")
    expected = (
        r"^cannot write .*out\.mp4: libx264 is not to be had: FFmpeg says 'Cannot allocate memory' \(all its sessions "
        r"may be in use\); use encoder auto or libx264$"
    )
    with pytest.raises(OutputError, match=expected):
        write_all(sink, packets_of([nv12(0).on(CARD)]))
    assert not (tmp_path / "out.mp4").exists()


@needs_compiler
def test_an_error_of_the_file_is_none_of_the_encoder(
    tmp_path: Path, emulated: emulator.EmulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    codec.plug_in(monkeypatch)
    monkeypatch.setattr(OutputFile, "write", full)
    with pytest.raises(OutputError, match=r"out\.mp4: the disk is full"):
        write_all(EncodeVideo({"s": tmp_path / "out.mp4"}, picture=None), packets_of([nv12(0).on(CARD)]))


@pytest.mark.parametrize("encoder", ["h264_nvenc", "hevc_nvenc", "av1_nvenc"])
def test_an_encoder_that_is_not_to_be_had_is_one_line(encoder: str, tmp_path: Path) -> None:
    sink = EncodeVideo({"s": tmp_path / "out.mp4"}, picture=None, encoder=encoder)
    expected = rf"^cannot write .*out\.mp4: {encoder} is not to be had: .+; use encoder auto or libx264$"
    with pytest.raises(OutputError, match=expected):
        write_all(sink, packets_of([nv12(0)]))
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_pictures_that_are_too_large_for_an_encoder(encoder: str, tmp_path: Path) -> None:
    most = ENCODERS[encoder].longest_side_px
    wide = Picture.from_rgb(np.zeros((2, most + 2, 3), np.uint8))
    expected = rf": {ENCODERS[encoder].title} pictures have at most {most} pixels a side, got {most + 2}x2; "
    with pytest.raises(OutputError, match=expected):
        write_all(EncodeVideo({"s": tmp_path / "out.mkv"}, picture=None, encoder=encoder), packets_of([wide]))


def test_unknown_encoders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^unknown encoder 'x265'; encoders are auto, libx264, h264_nvenc"):
        EncodeVideo({"s": tmp_path / "out.mp4"}, encoder="x265")


def test_the_option_has_the_rows_of_the_table() -> None:
    read: Any = OPTIONS["encoder"].read
    assert all(read.allows(name) for name in ("auto", *ENCODERS))
    assert read.expected.replace(" or ", ", ").split(", ") == ["auto", *ENCODERS]


def test_every_preset_has_one_of_nvenc() -> None:
    row = ENCODERS["hevc_nvenc"]
    options = [row.options(preset, nv12(0).tags) for preset in PRESETS]
    assert [each["preset"] for each in options] == sorted(each["preset"] for each in options)
    assert all(each["bf"] == "0" for each in options)
