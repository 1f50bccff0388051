"""The annotated video: every frame, its time, its sound, its colours; an ordinary indexed file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from vidgraph.pipeline.errors import OutputError, UsageError
from vidgraph.pipeline.execution.no_pixels import without_pixels
from vidgraph.pipeline.packet import Packet
from vidgraph.pipeline.stage import EndReason, Sink
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.drawing.draw import ANNOTATED
from vidgraph.stages.sinks.addresses import OutputStream
from vidgraph.stages.sinks.video import EncodeVideo
from vidgraph.stages.sources.video import VideoSource

from ...tolerances import TOLERANCES
from ..clips import make_changing_size, make_clip, patch_means, picture_rgb, read_number
from .sinks import SIZE, box_names, frame, packets, packets_of, read_video, write_all, yuv_picture

SUFFIXES = [".mp4", ".mov", ".mkv"]


def mean_error(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def encoder(path: Path, address: Path | str = "", **settings: Any) -> EncodeVideo:
    """A sink that writes the frames of stream ``s`` as they came, with the sound of ``address``."""
    about = {name: settings.pop(name) for name in ("starts_late", "ends_early") if name in settings}
    stream = OutputStream(stream_id="s", address=str(address), **about)
    return EncodeVideo({"s": path}, streams=[stream], picture=None, **settings)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("count", [1, 2, 3, 30])
def test_every_frame_comes_out_at_its_time(tmp_path: Path, suffix: str, count: int) -> None:
    out = tmp_path / f"out{suffix}"
    sink = encoder(out)
    assert isinstance(sink, Sink)
    write_all(sink, packets(count))
    found = read_video(out, pictures=True)
    assert found.times == pytest.approx([index / 25 for index in range(count)], abs=1e-3 if suffix == ".mkv" else 1e-9)
    assert [read_number(rgb) for rgb in found.pictures] == list(range(count))


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_an_orderly_end_gives_an_ordinary_indexed_file(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    write_all(encoder(out), packets(60))
    assert [name for name in box_names(out) if name not in ("free", "wide")] == ["ftyp", "mdat", "moov"]
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        assert stream.frames == 60
        assert stream.codec_context.name == "h264"
        assert float(stream.duration * stream.time_base) == pytest.approx(60 / 25)


def test_variable_frame_rate_is_kept_to_the_tick(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.1, 0.5, 0.51, 1.7, 1.8]
    source = make_clip(tmp_path / "in.mp4", frames=len(times), times=times)
    given = packets_of(source)
    write_all(encoder(tmp_path / "out.mp4"), given)
    assert read_video(tmp_path / "out.mp4").times == [float(p.frame.pts * p.frame.time_base) for p in given]


def test_frames_of_unknown_duration_are_not_cut_off(tmp_path: Path) -> None:
    given = [Packet(frame(index, duration_ns=0)) for index in range(9)]
    write_all(encoder(tmp_path / "out.mp4"), given)
    assert len(read_video(tmp_path / "out.mp4").times) == 9


def test_times_that_do_not_increase_lose_no_frame(tmp_path: Path) -> None:
    given = [Packet(frame(index, pts=90_000 * (index // 2))) for index in range(8)]
    write_all(encoder(tmp_path / "out.mp4"), given)
    times = read_video(tmp_path / "out.mp4").times
    assert len(times) == 8
    assert times == sorted(set(times))


def test_frames_made_by_hand_take_their_time_from_nanoseconds(tmp_path: Path) -> None:
    given = [Packet(replace(frame(index), pts=0, time_base=Fraction(1, 10**9))) for index in range(5)]
    write_all(encoder(tmp_path / "out.mp4"), given)
    assert read_video(tmp_path / "out.mp4").times == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])


def test_dropped_frames_are_written_undrawn(tmp_path: Path) -> None:
    bright = yuv_picture(0)
    black = replace(
        bright, planes=(np.full_like(bright.planes[0], 16), *(np.full_like(c, 128) for c in bright.planes[1:]))
    )
    given = [
        packet.dropped("failed") if packet.frame.index == 2 else packet.with_item(ANNOTATED, black)
        for packet in packets(5)
    ]
    write_all(EncodeVideo({"s": tmp_path / "out.mp4"}), given)
    found = read_video(tmp_path / "out.mp4", pictures=True).pictures
    assert [rgb.max() > 100 for rgb in found] == [False, False, True, False, False]


def test_frames_dropped_without_their_pixels_are_left_out(tmp_path: Path) -> None:
    given = list(packets(5))
    given[2] = Packet(without_pixels(given[2].frame)).dropped("mailbox_full")
    write_all(encoder(tmp_path / "out.mp4"), given)
    found = read_video(tmp_path / "out.mp4", pictures=True)
    assert [read_number(rgb) for rgb in found.pictures] == [0, 1, 3, 4]
    assert found.times == pytest.approx([0, 0.04, 0.12, 0.16])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sound_is_copied_packet_for_packet(tmp_path: Path, suffix: str) -> None:
    source, out = make_clip(tmp_path / "in.mp4", frames=50, audio=True), tmp_path / f"out{suffix}"
    write_all(encoder(out, source), packets_of(source))
    found, original = read_video(out), read_video(source)
    # Matroska counts milliseconds, and has no room before 0 for the encoder's priming
    primed = sum(time < 0 for time in original.sound) if suffix == ".mkv" else 0
    assert sound_bytes(out) == sound_bytes(source)[primed:]
    assert found.sound == pytest.approx(original.sound[primed:], abs=1e-3 if suffix == ".mkv" else 1e-9)
    assert found.times[0] == 0


def sound_bytes(path: Path, stream: int = 0) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=stream) if packet.size]


def test_start_times_of_a_real_file_are_kept(tmp_path: Path, shared: Callable[[str], Path]) -> None:
    source, out = shared("media/faces_1080p.mp4"), tmp_path / "out.mp4"
    given = [Packet(replace(p.frame, picture=yuv_picture(p.frame.index))) for p in packets_of(source)]
    write_all(encoder(out, source), given)
    found, original = read_video(out), read_video(source)
    assert found.times == original.times
    assert found.sound == original.sound
    assert len(found.times) == 105


def test_sound_of_a_transport_stream_becomes_mp4_sound_and_the_clock_starts_at_zero(tmp_path: Path) -> None:
    source, out = tmp_path / "in.ts", tmp_path / "out.mp4"
    make_clip(source, frames=50, audio=True, container_options={"output_ts_offset": "10"})
    given = packets_of(source)
    assert given[0].frame.pts * given[0].frame.time_base >= 10
    write_all(encoder(out, source), given)
    found, original = read_video(out), read_video(source)
    assert len(found.times) == 50
    assert 0 <= min(found.times[0], found.sound[0]) < 0.05
    assert found.times[0] - found.sound[0] == pytest.approx(original.times[0] - original.sound[0], abs=1e-3)
    with av.open(str(out)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 0


def test_all_sound_of_a_file_with_several_streams_is_copied(tmp_path: Path, shared: Callable[[str], Path]) -> None:
    source, out = shared("media/multi_stream.mp4"), tmp_path / "out.mp4"
    write_all(encoder(out, source), packets_of(source)[:60])
    with av.open(str(source)) as container, av.open(str(out)) as written:
        assert len(written.streams.audio) == len(container.streams.audio) > 1
    for stream in range(2):
        assert sound_bytes(out, stream) == sound_bytes(source, stream)


def test_sound_that_the_container_cannot_hold_is_transcoded_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.height, video.width = SIZE
        sound = container.add_stream("pcm_s16le", rate=8000)
        sound.codec_context.layout = "mono"
        for index in range(50):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture_rgb(index), format="rgb24")))
            wave = (10_000 * np.sin(np.arange(index * 320, index * 320 + 320) * 0.3)).astype(np.int16)
            coded = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            coded.sample_rate, coded.pts, coded.time_base = 8000, index * 320, Fraction(1, 8000)
            container.mux(sound.encode(coded))
        container.mux(video.encode(None))
    out = tmp_path / "out.mp4"
    with caplog.at_level(logging.WARNING, "vidgraph"):
        write_all(encoder(out, source), packets_of(source))
    assert "out.mp4 cannot hold pcm_s16le audio; it is transcoded to AAC" in caplog.text
    with av.open(str(out)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        samples = np.concatenate([one.to_ndarray()[0] for one in container.decode(audio=0)])
    assert len(samples) / 8000 == pytest.approx(2.0, abs=0.15)
    assert np.abs(samples).max() == pytest.approx(10_000 / 32768, rel=0.2)
    assert len(read_video(out).times) == 50


def test_start_cuts_the_sound_too_and_begins_at_zero(tmp_path: Path) -> None:
    source, out = make_clip(tmp_path / "in.mp4", frames=75, audio=True), tmp_path / "out.mp4"
    part = VideoSource(source, stream_id="s", start=1.0, end=2.0)
    part.open()
    given = [Packet(one) for one in part.frames()]
    part.close()
    write_all(encoder(out, source, starts_late=True, ends_early=True), given)
    found = read_video(out)
    assert found.times == pytest.approx([index / 25 for index in range(25)])
    assert 0 <= found.sound[0] < 0.13  # one packet of the source lasts 0.128 s
    assert 0.85 < found.sound_end < 1.15
    whole = sound_bytes(source)
    assert (
        sound_bytes(out)[0]
        == whole[[round(t, 3) for t in read_video(source).sound].index(round(found.sound[0] + 1, 3))]
    )


@pytest.mark.parametrize(("reason", "end"), [(EndReason.FINISHED, 4.0), (EndReason.CANCELLED, 1.0)])
def test_sound_ends_with_the_file_or_where_the_run_was_stopped(tmp_path: Path, reason: EndReason, end: float) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=100, audio=True)
    write_all(encoder(tmp_path / "out.mp4", source), packets_of(source)[:25], reason)
    found = read_video(tmp_path / "out.mp4")
    assert len(found.times) == 25
    assert found.sound_end == pytest.approx(end, abs=0.2)


def test_a_source_whose_sound_cannot_be_read_has_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_all(encoder(tmp_path / "out.mp4", tmp_path / "gone.mp4"), packets(5))
    assert "out.mp4 has no sound: no such file" in caplog.text
    assert len(read_video(tmp_path / "out.mp4").times) == 5


@pytest.mark.parametrize("size", [(63, 96), (64, 95), (33, 47), (1, 1)])
@pytest.mark.parametrize("form", ["yuv420p", "rgb24"])
def test_odd_sizes_get_one_more_row_or_column(tmp_path: Path, size: tuple[int, int], form: str) -> None:
    picture = yuv_picture(3, (size[0] + 1, size[1] + 1))
    luma, *chroma = picture.planes
    cut = [luma[: size[0], : size[1]], *(c[: -(-size[0] // 2), : -(-size[1] // 2)] for c in chroma)]
    odd = replace(picture, planes=tuple(np.ascontiguousarray(plane) for plane in cut))
    shown = odd if form == "yuv420p" else Picture.from_rgb(odd.rgb().copy())
    write_all(encoder(tmp_path / "out.mp4"), [Packet(frame(0, picture=shown))])
    (rgb,) = read_video(tmp_path / "out.mp4", pictures=True).pictures
    assert rgb.shape[:2] == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert mean_error(rgb[: size[0], : size[1]], odd.rgb()) < TOLERANCES["encoded picture, mean"][0]
    grown = np.pad(odd.rgb(), ((0, size[0] % 2), (0, size[1] % 2), (0, 0)), mode="edge")
    assert mean_error(rgb, grown) < TOLERANCES["encoded picture, mean"][0]


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full_range", [False, True])
def test_matrix_range_and_pixel_shape_reach_the_file(tmp_path: Path, matrix: str, full_range: bool) -> None:
    picture = yuv_picture(5, matrix=matrix, full_range=full_range, sample_aspect=Fraction(4, 3))
    write_all(encoder(tmp_path / "out.mp4"), [Packet(frame(i, picture=picture)) for i in range(3)])
    found = packets_of(tmp_path / "out.mp4")[1].frame.picture
    assert (found.matrix, found.full_range, found.sample_aspect) == (matrix, full_range, Fraction(4, 3))
    assert np.abs(patch_means(found.rgb()) - patch_means(picture.rgb())).max() < TOLERANCES["encoded colour patch"][0]


@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le", "gray", "nv12"])
def test_every_pixel_format_keeps_its_colours(tmp_path: Path, form: str) -> None:
    source = make_clip(
        tmp_path / "in.mkv", frames=3, pix_fmt=form, matrix="bt709", codec="ffv1" if form == "gray" else "libx264"
    )
    given = packets_of(source)
    write_all(encoder(tmp_path / "out.mp4"), given)
    found = packets_of(tmp_path / "out.mp4")
    for before, after in zip(given, found, strict=True):
        assert after.frame.picture.format == "yuv420p"
        error = patch_means(after.frame.picture.rgb()) - patch_means(before.frame.picture.rgb())
        assert np.abs(error).max() < TOLERANCES["encoded colour patch"][0]


def test_nv12_and_yuv420p_may_come_in_one_file(tmp_path: Path) -> None:
    picture = yuv_picture(1)
    pairs = np.stack(picture.planes[1:], axis=-1)
    other = Picture("nv12", (picture.planes[0], pairs), matrix="bt601")
    for order in ((picture, other), (other, picture)):
        given = [Packet(frame(index, picture=order[index % 2])) for index in range(4)]
        write_all(encoder(tmp_path / "out.mp4"), given)
        assert [read_number(rgb) for rgb in read_video(tmp_path / "out.mp4", pictures=True).pictures] == [1] * 4


def test_a_change_of_size_goes_on_in_a_further_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = make_changing_size(tmp_path / "in.ts", frames=10)
    given = packets_of(source)
    write_all(encoder(tmp_path / "out.mp4", source), given)
    first = read_video(tmp_path / "out.mp4", pictures=True)
    second = read_video(tmp_path / "out.part2.mp4", pictures=True)
    sizes = [packet.frame.picture.rgb().shape for packet in given]
    assert [rgb.shape for rgb in first.pictures + second.pictures] == sizes
    assert len(set(sizes)) == 2
    assert second.times[0] == 0
    assert "the video goes on in out.part2.mp4" in caplog.text


def test_streams_have_files_of_their_own(tmp_path: Path) -> None:
    paths = {"a": tmp_path / "a.mp4", "b": tmp_path / "b.mkv"}
    given = [Packet(frame(index, stream=stream)) for index in range(6) for stream in paths]
    write_all(EncodeVideo(paths, picture=None), given)
    assert [len(read_video(path).times) for path in paths.values()] == [6, 6]


def test_close_alone_finishes_the_file(tmp_path: Path) -> None:
    sink = encoder(tmp_path / "out.mp4")
    sink.open()
    for packet in packets(10):
        sink.write(packet)
    sink.close()
    assert len(read_video(tmp_path / "out.mp4").times) == 10


def test_an_existing_file_stays_until_the_first_frame_and_an_empty_one_is_removed(tmp_path: Path) -> None:
    old, new = tmp_path / "old.mp4", tmp_path / "new.mp4"
    old.write_bytes(b"something")
    write_all(EncodeVideo({"a": old, "b": new}, picture=None), [])
    assert old.read_bytes() == b"something"
    assert not new.exists()


def test_what_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*out\.mp4: not a directory"):
        encoder(tmp_path / "file" / "out.mp4").open()


def test_unknown_preset_is_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match="unknown preset 'placebic'; presets are ultrafast, superfast, veryfast"):
        EncodeVideo({"s": Path("out.mp4")}, preset="placebic")


@pytest.mark.parametrize("preset", ["ultrafast", "medium"])
def test_presets_and_threads(tmp_path: Path, preset: str) -> None:
    write_all(encoder(tmp_path / "out.mp4", preset=preset, threads=2), packets(12))
    assert len(read_video(tmp_path / "out.mp4").times) == 12
