"""What an interrupted video holds: looked at in every state in which a kill can leave it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from vidgraph.pipeline.errors import OutputError
from vidgraph.pipeline.execution.no_pixels import without_pixels
from vidgraph.pipeline.packet import Packet
from vidgraph.stages.sinks import video_file
from vidgraph.stages.sinks.addresses import OutputStream, part_files
from vidgraph.stages.sinks.output_file import OutputFile
from vidgraph.stages.sinks.registry import Outputs
from vidgraph.stages.sinks.video import EncodeVideo
from vidgraph.stages.sinks.video_so_far import Line, VideoSoFar, video_so_far
from vidgraph.stages.sinks.whole_end import whole_end

from ..clips import make_clip, read_number
from .sinks import SIZE, packets, read_video, write_all

FRAMES = 60
SUFFIXES = [".mp4", ".mov", ".mkv"]


def lines(given: Sequence[Packet]) -> Iterator[Line]:
    """What the results of packets say of their frames."""
    for packet in given:
        yield Line(packet.frame.index, packet.frame.pts_ns / 1e9, SIZE, packet.drop_cause is not None)


def numbers(paths: Sequence[Path]) -> list[int]:
    return [read_number(rgb) for path in paths for rgb in read_video(path, pictures=True).pictures]


Write = tuple[int, bytes]


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[Write]:
    """Where and what video files write, from now on."""
    made: list[Write] = []

    class Recorded(OutputFile):
        def write(self, data: bytes) -> int:
            made.append((self.tell(), bytes(data)))
            return super().write(data)

    monkeypatch.setattr(video_file, "OutputFile", Recorded)
    return made


def states(writes: Sequence[Write]) -> Iterator[bytes]:
    """The file before the first write, and after each one: whole and, but for a few bytes, in part."""
    content = bytearray()
    yield b""
    for place, data in writes:
        for length in (len(data) // 2, len(data))[len(data) < 16 :]:
            content[place : place + length] = data[:length]
            yield bytes(content)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("sound", [False, True])
def test_every_frame_is_there_once_wherever_the_kill_came(
    suffix: str, sound: bool, writes: list[Write], tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=FRAMES, audio=True)
    streams = [OutputStream(stream_id="s", address=str(clip) if sound else "")]
    given = list(packets(FRAMES))
    first = tmp_path / f"whole{suffix}"
    write_all(EncodeVideo({"s": first}, streams=streams, picture=None), given)
    out = tmp_path / f"out{suffix}"
    held = []
    for content in list(states(writes)):
        for part in [out, *part_files(out)]:
            part.unlink(missing_ok=True)
        out.write_bytes(content)
        so_far = video_so_far(out, [out], lines(given))
        held.append(so_far.last_frame + 1)
        write_all(EncodeVideo({"s": out}, streams=streams, picture=None, so_far={"s": so_far}), given)
        assert numbers([out, *part_files(out)]) == list(range(FRAMES))
    assert held == sorted(held)
    assert (held[0], held[-1]) == (0, FRAMES)
    assert len(set(held)) > 3


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_killed_again_and_again(suffix: str, tmp_path: Path) -> None:
    """Every part is cut short in its turn; those that have no whole frame are written again."""
    out, given = tmp_path / f"out{suffix}", list(packets(FRAMES))
    so_far = VideoSoFar()
    for keep in (0.9, 0.0, 0.6, 0.3, 0.9):
        write_all(EncodeVideo({"s": out}, picture=None, so_far={"s": so_far}), given[: so_far.last_frame + 31])
        parts = [out, *part_files(out)]
        os.truncate(parts[-1], int(parts[-1].stat().st_size * keep))
        so_far = video_so_far(out, parts, lines(given))
    write_all(EncodeVideo({"s": out}, picture=None, so_far={"s": so_far}), given)
    assert numbers([out, *part_files(out)]) == list(range(FRAMES))


def test_frames_dropped_without_their_pixels_are_known_by_their_times(tmp_path: Path) -> None:
    given = list(packets(30))
    for index in (3, 4, 11):
        given[index] = Packet(without_pixels(given[index].frame)).dropped("mailbox_full")
    given[7] = given[7].dropped("failed")
    for suffix in SUFFIXES:
        out = tmp_path / f"out{suffix}"
        write_all(EncodeVideo({"s": out}, picture=None), given[:20])
        assert video_so_far(out, [out], lines(given)).last_frame == 19
        assert video_so_far(out, [out], lines(given[:15])).last_frame == 19, "ahead of the results"


def test_results_that_end_before_a_part_begins(tmp_path: Path) -> None:
    given, out = list(packets(30)), tmp_path / "out.mp4"
    write_all(EncodeVideo({"s": out}, picture=None), given[:20])
    so_far = video_so_far(out, [out], lines(given))
    write_all(EncodeVideo({"s": out}, picture=None, so_far={"s": so_far}), given)
    parts = [out, *part_files(out)]
    assert len(parts) == 2
    for count in (1, 19, 20, 25, 30):
        assert video_so_far(out, parts, lines(given[:count])).last_frame == 29


def test_what_is_no_video_of_the_results_is_refused_or_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = list(packets(30))
    out = tmp_path / "out.mp4"
    other = make_clip(tmp_path / "other.mp4", frames=5, size=(96, 128))
    slow = make_clip(tmp_path / "slow.mp4", frames=5, times=[0, 2, 4, 6, 8])
    for path, results in ((other, given), (slow, given), (make_clip(tmp_path / "lone.mp4", frames=5), [])):
        with pytest.raises(OutputError, match="it is not the video of these results"):
            video_so_far(path, [path], lines(results))
    with pytest.raises(OutputError, match=r"cannot go on with .*out\.mp4: it is damaged"):
        out.write_bytes(other.read_bytes().replace(b"avcC", b"avcX").replace(b"stsd", b"stsX"))
        video_so_far(out, [out], lines(given))
    out.write_text("mine")
    assert video_so_far(out, [out], lines(given)) == VideoSoFar(29, 2, {})
    assert "is no video of vidgraph" in caplog.text
    caplog.clear()
    third = tmp_path / "out.part3.mp4"
    third.touch()
    with pytest.raises(OutputError, match=r"out\.part3\.mp4 is there without out\.part2\.mp4"):
        video_so_far(out, [out, third], lines(given))


def test_resume_is_refused_where_a_video_is_another(tmp_path: Path) -> None:
    names = [tmp_path / "out.jsonl", tmp_path / "out.mp4"]
    streams = [OutputStream(stream_id="s")]
    for sink in Outputs(names, streams).sinks(needs=frozenset(), drawn=False):
        write_all(sink, packets(10))
    make_clip(tmp_path / "out.mp4", frames=5, size=(96, 128))
    with pytest.raises(OutputError, match="it is not the video of these results"):
        Outputs(names, streams, resume=True)
    (tmp_path / "out.mp4").unlink()
    outputs = Outputs(names, streams, resume=True)
    assert outputs.resume_after("s") == -1, "the video is to have all frames"
    outputs.close()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_how_far_a_file_is_whole(suffix: str, tmp_path: Path) -> None:
    out = tmp_path / f"out{suffix}"
    write_all(EncodeVideo({"s": out}, picture=None), packets(FRAMES))
    content = out.read_bytes()
    for found, expected in ((content, len(content)), (b"", 0), (content[:50], 0), (b"no video at all", None)):
        out.write_bytes(found)
        with out.open("rb") as file:
            assert whole_end(file.fileno()) == expected
