"""What SIGKILL and a full disk leave of an output: at most 1 s of video or 6 frames are lost, and no whole line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from vidgraph.pipeline.errors import OutputError
from vidgraph.pipeline.packet import Packet
from vidgraph.pipeline.stage import EndReason
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.sinks.addresses import OutputStream
from vidgraph.stages.sinks.results import WriteResults
from vidgraph.stages.sinks.video import EncodeVideo

from .clips import make_clip
from .sinks.sinks import box_names, frame, packets, read_video

# Reads "rate frames address results video" and kills itself after so many frames.
WRITER = """
import os, signal, sys
import numpy as np
from fractions import Fraction
from pathlib import Path
from vidgraph.pipeline.packet import Frame, Packet
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.sinks.video import EncodeVideo
from vidgraph.stages.sinks.addresses import OutputStream
from vidgraph.stages.sinks.results import WriteResults

rate, count, address, results, video = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
sinks = [
    EncodeVideo({"s": Path(video)}, streams=[OutputStream(stream_id="s", address=address)], threads=2, picture=None),
    WriteResults({"s": Path(results)}),
]
for sink in sinks:
    sink.open()
noise = np.random.default_rng(0).integers(0, 256, (96, 160), np.uint8)
chroma = np.full((48, 80), 128, np.uint8)
for index in range(count):
    picture = Picture("yuv420p", (np.roll(noise, index, 1), chroma, chroma), matrix="bt601")
    frame = Frame("s", index, 0, index * 10**9 // rate, 10**9 // rate, picture, index, Fraction(1, rate))
    for sink in sinks:
        sink.write(Packet(frame))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module", params=[25, 10, 3])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """A frame rate, and a clip of it with sound."""
    rate: int = request.param
    path = tmp_path_factory.mktemp("kill") / "in.mp4"
    return rate, make_clip(path, frames=8 * rate, rate=rate, audio=True)


def lost_at_most(rate: int) -> int:
    """How many frames a kill may cost: 1 s or 6 frames, whichever is longer."""
    return max(rate, 6)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("sound", [False, True])
def test_a_killed_process_leaves_a_playable_video_and_whole_lines(
    tmp_path: Path, source: tuple[int, Path], suffix: str, sound: bool
) -> None:
    rate, clip = source
    count = 3 * rate + 5
    video, results = tmp_path / f"out{suffix}", tmp_path / "out.jsonl"
    arguments = [str(rate), str(count), str(clip) if sound else "", str(results), str(video)]
    ended = subprocess.run([sys.executable, "-c", WRITER, *arguments], capture_output=True, text=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    found = read_video(video)
    assert count - len(found.times) <= lost_at_most(rate)
    assert found.times == pytest.approx([index / rate for index in range(len(found.times))], abs=1e-3)
    if sound:
        original = [time for time in read_video(clip).sound if time >= 0 or suffix != ".mkv"]
        assert found.sound == pytest.approx(original[: len(found.sound)], abs=1e-3)
        assert count / rate - found.sound_end <= max(1.0, 6 / rate)
    lines = results.read_text().splitlines(keepends=True)
    assert [json.loads(line)["frame"] for line in lines[1:]] == list(range(count))
    assert lines[-1].endswith("\n")


def snapshots(sink: EncodeVideo, path: Path, given: Iterator[Packet], begin: int) -> Iterator[tuple[int, Path]]:
    """After every frame from ``begin`` on: how many were written, and the file as a kill would leave it."""
    for count, packet in enumerate(given, start=1):
        sink.write(packet)
        if count >= begin:
            copy = path.with_name(f"copy{path.suffix}")
            shutil.copyfile(path, copy)
            yield count, copy


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("threads", [1, 8])
def test_no_moment_is_a_bad_one_to_be_killed(
    tmp_path: Path, source: tuple[int, Path], suffix: str, threads: int
) -> None:
    rate, clip = source
    out = tmp_path / f"out{suffix}"
    streams = [OutputStream(stream_id="s", address=str(clip))]
    sink = EncodeVideo({"s": out}, streams=streams, picture=None, threads=threads)
    sink.open()
    begin = lost_at_most(rate) + 1
    given = packets(begin + 2 * lost_at_most(rate), rate=rate, picture=frame(7).picture)
    for count, copy in snapshots(sink, out, given, begin):
        assert count - len(read_video(copy).times) <= lost_at_most(rate), f"killed after {count} frames"
    sink.close()


def test_sound_that_begins_late_holds_nothing_back(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=150, audio=True)
    late = tmp_path / "late.mkv"
    _delay_sound(clip, late, by_s=4)
    out = tmp_path / "out.mp4"
    sink = EncodeVideo({"s": out}, streams=[OutputStream(stream_id="s", address=str(late))], picture=None)
    sink.open()
    for count, copy in snapshots(sink, out, packets(60), begin=40):
        assert count - len(read_video(copy).times) <= 25
    sink.end_stream("s", EndReason.FINISHED)
    sink.close()
    assert read_video(out).sound == pytest.approx(read_video(late).sound, abs=1e-3)
    assert len(read_video(out).times) == 60


def _delay_sound(path: Path, target: Path, *, by_s: int) -> None:
    import av

    with av.open(str(path)) as source, av.open(str(target), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio":
                packet.pts += by_s * packet.time_base.denominator // packet.time_base.numerator
                packet.dts = packet.pts
            packet.stream = streams[packet.stream_index]
            output.mux(packet)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small file system: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def noisy(count: int) -> Iterator[Packet]:
    """Frames of which 1 MB holds some forty."""
    noise = np.random.default_rng(0).integers(0, 256, (240, 320), np.uint8)
    chroma = np.full((120, 160), 128, np.uint8)
    for index in range(count):
        shown = np.roll(noise, 7 * index * index, 1)
        yield Packet(frame(index, picture=Picture("yuv420p", (shown, chroma, chroma), matrix="bt601")))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_full_disk_is_one_line_and_what_was_written_can_be_played(small_disk: Path, suffix: str) -> None:
    out = small_disk / f"out{suffix}"
    sink = EncodeVideo({"s": out}, picture=None)
    sink.open()
    written = 0
    with pytest.raises(OutputError) as caught:
        for packet in noisy(400):
            sink.write(packet)
            written += 1
    assert str(caught.value) == f"cannot write {out}: the disk is full; what was written before can be played"
    sink.end_stream("s", EndReason.FAILED)
    sink.close()
    found = read_video(out)
    assert written >= 30
    assert written - len(found.times) <= 25
    if suffix != ".mkv":
        assert box_names(out)[-2:] == ["moof", "mdat"]


def test_a_disk_that_fills_up_while_the_index_is_written_keeps_the_fragments(small_disk: Path) -> None:
    out = small_disk / "out.mp4"
    sink = EncodeVideo({"s": out}, picture=None)
    sink.open()
    for packet in packets(100):
        sink.write(packet)
    free = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize))
    with pytest.raises(OutputError, match="the disk is full"):
        sink.end_stream("s", EndReason.FINISHED)
    sink.close()
    assert len(read_video(out).times) >= 75


def test_results_on_a_full_disk_end_with_a_whole_line(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(900_000))
    out = small_disk / "out.jsonl"
    sink = WriteResults({"s": out}, needs=frozenset())
    sink.open()
    with pytest.raises(OutputError, match=r"out\.jsonl: the disk is full; the lines written before are whole"):
        for packet in packets(5000, picture=frame(0).picture):
            sink.write(packet)
    sink.close()
    lines = out.read_text().splitlines(keepends=True)
    assert lines[-1].endswith("\n")
    assert [json.loads(line)["frame"] for line in lines[1:]] == list(range(len(lines) - 1))
    assert len(lines) > 100
