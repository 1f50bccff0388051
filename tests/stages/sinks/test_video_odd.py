"""Videos of odd sources: clocks, gaps, sizes, and sound that no container takes as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from vidgraph.pipeline.errors import OutputError
from vidgraph.pipeline.packet import Packet
from vidgraph.stages.sinks.addresses import OutputStream, part_files
from vidgraph.stages.sinks.video import EncodeVideo

from ..clips import make_clip, picture_rgb
from .sinks import SIZE, frame, packets, read_video, write_all, yuv_picture

SUFFIXES = [".mp4", ".mov", ".mkv"]


def encoder(path: Path, address: Path | str = "") -> EncodeVideo:
    """A sink that writes the frames of stream ``s`` as they came, with the sound of ``address``."""
    return EncodeVideo({"s": path}, streams=[OutputStream(stream_id="s", address=str(address))], picture=None)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("time_base", "step"),
    [
        (Fraction(1), 1),
        (Fraction(10), 1),
        (Fraction(1, 90_000), 1),
        (Fraction(1001, 30_000), 1),
        (Fraction(999_983, 1_000_000), 1),
        (Fraction(1_000_000, 29_970_029), 1),
        (Fraction(1, 2**31 - 1), 10**8),
    ],
)
@pytest.mark.parametrize("start", [0, -5, 2**33 - 3])
def test_any_clock_can_be_written(suffix: str, time_base: Fraction, step: int, start: int, tmp_path: Path) -> None:
    given = [
        Packet(
            replace(frame(index), pts=start + index * step, time_base=time_base, duration_ns=(0, 1, 10**16)[index % 3])
        )
        for index in range(6)
    ]
    write_all(encoder(tmp_path / f"out{suffix}"), given)
    times = read_video(tmp_path / f"out{suffix}").times
    assert [time - times[0] for time in times] == pytest.approx(
        [float(index * step * time_base) for index in range(6)], abs=1.001e-3 if suffix == ".mkv" else 1e-6
    )


def test_a_gap_that_mp4_cannot_count_goes_on_in_a_further_part(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    times = [0, 3600, 7200, 90_000 * 86_400, 90_000 * 86_400 + 3600]
    given = [Packet(replace(frame(index), pts=pts, time_base=Fraction(1, 90_000))) for index, pts in enumerate(times)]
    for suffix, counts in ((".mp4", [3, 2]), (".mkv", [5])):
        write_all(encoder(tmp_path / f"out{suffix}"), given)
        parts = [tmp_path / f"out{suffix}", *part_files(tmp_path / f"out{suffix}")]
        assert [len(read_video(part).times) for part in parts] == counts
    assert "time jumps at frame 3; the video goes on in out.part2.mp4" in caplog.text
    assert read_video(tmp_path / "out.mkv").times[3] == pytest.approx(86_400, abs=1e-3)


def test_a_picture_too_large_for_the_encoder_is_one_line(tmp_path: Path) -> None:
    wide = Packet(frame(0, picture=yuv_picture(0, (2, 16_386))))
    with pytest.raises(OutputError, match=r"H\.264 pictures have at most 16384 pixels a side, got 16386x2"):
        write_all(encoder(tmp_path / "out.mp4"), [wide])


def sounding(path: Path, codec: str, *, rate: int, layout: str = "mono", times: Callable[[int], float]) -> Path:
    """50 pictures, and 20 packets of sound at ``times`` in seconds."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.height, video.width = SIZE
        sound: Any = container.add_stream(codec, rate=rate)
        sound.codec_context.layout = layout
        coded: list[Any] = []
        samples = sound.codec_context.frame_size or rate // 10
        for index in range(20):
            wave = np.zeros((1, samples), np.int16)
            one = av.AudioFrame.from_ndarray(wave, format="s16", layout=layout)
            one.sample_rate, one.pts, one.time_base = rate, index * samples, Fraction(1, rate)
            coded += sound.encode(one)
        coded += sound.encode(None)
        container.start_encoding()
        for index in range(50):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture_rgb(index), format="rgb24")))
            if index < len(coded):
                packet = coded[index]
                packet.stream, packet.time_base = sound, Fraction(1, 90_000)
                packet.pts = packet.dts = round(times(index) * 90_000)
                container.mux_one(packet)
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("codec", "rate"), [("mp2", 44_100), ("pcm_s16le", 3000), ("pcm_s16le", 192_000)])
@pytest.mark.parametrize("jump_s", [0, 1000])
def test_no_time_of_sound_ends_the_video(
    suffix: str, codec: str, rate: int, jump_s: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two packets nearly at once, which MP4 refuses in one tick; a jump; rates that AAC does not have."""

    def times(index: int) -> float:
        close = index - index % 2 + (1.2e-4 if codec == "mp2" else 0.5) * (index % 2)
        return 0.1 * close + (jump_s if index > 9 else 0)

    source = sounding(tmp_path / ("in.ts" if codec == "mp2" else "in.nut"), codec, rate=rate, times=times)
    out = tmp_path / f"out{suffix}"
    write_all(encoder(out, source), packets(50))
    found = read_video(out)
    assert len(found.times) == 50
    assert len(found.sound) >= 4
    assert found.sound == sorted(found.sound)
    assert "left out" not in caplog.text


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("fault", ["heads", "joined"])
def test_sound_that_cannot_be_copied_does_not_end_the_video(
    suffix: str, fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """AAC of a transport stream: packets that do not say what they are; a clock that begins again."""
    source = make_clip(tmp_path / "in.ts", frames=50, audio=True)
    data = bytearray(source.read_bytes())
    heads = [place for place in range(len(data) - 1) if data[place : place + 2] == b"\xff\xf1"]
    for place in heads[3:6] if fault == "heads" else ():
        data[place : place + 2] = b"\0\0"
    source.write_bytes(data if fault == "heads" else data + data)
    out = tmp_path / f"out{suffix}"
    write_all(encoder(out, source), packets(50))
    assert len(read_video(out).times) == 50
    assert len(read_video(out).sound) >= 8
    assert "in.ts: packets of sound left out, which are damaged or go back in time: " in caplog.text
