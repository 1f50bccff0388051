"""How a source names its colours: read, kept through drawing, and written into videos and pictures."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageCms
from vidgraph.pipeline.packet import DETECTIONS, Packet
from vidgraph.pipeline.types.detections import Detections
from vidgraph.pipeline.types.picture import ColorTags, Picture
from vidgraph.stages.drawing.draw import ANNOTATED, Draw
from vidgraph.stages.sinks.images import WriteImages
from vidgraph.stages.sinks.video import EncodeVideo
from vidgraph.stages.sources.images import read_image

from ..clips import as_before, picture_rgb, read_number, video_frame
from ..sinks.sinks import frame, packets_of, read_video, write_all

MASTERING = (13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450, 10_000_000, 1)
LIGHT = (1000, 400)
X265_HDR10 = (
    "log-level=none:hdr10=1:max-cll=1000,400"
    ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)

# primaries, transfer, matrix. Source: ITU-T H.273, tables 2 to 4
BT709, BT601_525, BT601_625 = (1, 1, 1), (6, 6, 6), (5, 6, 5)
SRGB, PQ, HLG, BT2020_SDR, P3 = (1, 13, 1), (9, 16, 9), (9, 18, 9), (9, 14, 9), (12, 13, 1)


def tagged_clip(path: Path, tags: tuple[int, int, int], *, codec: str = "libx264", **more: Any) -> Path:
    """Three frames of a video with these tags; ``full``: in full range."""
    full, options = more.pop("full", False), more.pop("options", {})
    form = more.pop("form", "yuv420p")
    with as_before(), av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 64, 96, form
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = tags
        context.color_range = 2 if full else 1
        for index in range(3):
            made = video_frame(picture_rgb(index), form, matrix="bt709", full_range=full)
            made.colorspace, made.color_range, made.pts = tags[2], 2 if full else 1, index
            made.color_primaries, made.color_trc = tags[:2]
            container.mux(stream.encode(made))
        container.mux(stream.encode(None))
    return path


def drawn(packets: list[Packet]) -> list[Packet]:
    """The packets with a box found in each, and drawn."""
    found = Detections(
        np.array([[8, 20, 40, 50]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32), ("thing",)
    )
    stage = Draw()
    return [done for one in packets for done in stage.process(one.with_item(DETECTIONS, found))]


def written_tags(path: Path) -> list[tuple[int, int, int, int]]:
    """Primaries, transfer, matrix and range of the frames of a video; those of its header are the same."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        header = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        found = [(f.color_primaries, f.color_trc, f.colorspace, f.color_range) for f in container.decode(video=0)]
    assert set(found) == {header}
    return found


@pytest.mark.parametrize("tags", [BT709, BT601_525, BT601_625, SRGB, BT2020_SDR, PQ, HLG, (2, 2, 1), (2, 2, 2)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("source", "out"), [("in.mp4", "out.mp4"), ("in.mkv", "out.mkv"), ("in.mov", "out.mov")])
def test_tags_reach_the_written_video(
    tmp_path: Path, tags: tuple[int, int, int], full: bool, source: str, out: str
) -> None:
    given = packets_of(tagged_clip(tmp_path / source, tags, full=full))
    assert [(p.tags.primaries, p.tags.transfer, p.tags.matrix) for p in (one.frame.picture for one in given)] == [
        tags
    ] * 3
    write_all(EncodeVideo({"": tmp_path / out}), drawn(given))
    found = [(*found[:3], found[3] or 1) for found in written_tags(tmp_path / out)]  # unmarked range is limited
    assert found == [(*tags, 2 if full else 1)] * 3


@pytest.mark.parametrize(
    ("source", "codec", "form", "options"),
    [
        ("in.webm", "libvpx-vp9", "yuv420p", {}),
        ("in.webm", "libsvtav1", "yuv420p10le", {"svtav1-params": "preset=12"}),
        ("in.mkv", "libx264", "yuv420p10le", {}),
        ("in.mp4", "libx265", "yuv420p10le", {"x265-params": "log-level=none"}),
        ("in.mkv", "ffv1", "yuv422p10le", {}),
        ("in.mov", "prores_ks", "yuv422p10le", {}),
    ],
)
@pytest.mark.parametrize("tags", [PQ, HLG])
def test_hdr_keeps_its_tags_and_8_bits_are_said(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    tags: tuple[int, int, int],
    source: str,
    codec: str,
    form: str,
    options: dict[str, str],
) -> None:
    given = packets_of(tagged_clip(tmp_path / source, tags, codec=codec, form=form, options=options))
    with caplog.at_level(logging.WARNING):
        write_all(EncodeVideo({"": tmp_path / "out.mp4"}), drawn(given))
    assert written_tags(tmp_path / "out.mp4") == [(*tags, 1)] * 3
    name = {16: "PQ", 18: "HLG"}[tags[1]]
    assert [r.getMessage() for r in caplog.records] == [
        f"{given[0].frame.stream_id}: this is HDR video ({name}); out.mp4 has 8 bits a sample, with the same colour"
        " tags, so that gradients may show steps"
    ]


@pytest.mark.parametrize("out", ["out.mp4", "out.mkv", "out.mov"])
def test_what_hdr10_says_of_its_light_is_kept(tmp_path: Path, out: str) -> None:
    source = tagged_clip(
        tmp_path / "in.mp4", PQ, codec="libx265", form="yuv420p10le", options={"x265-params": X265_HDR10}
    )
    given = packets_of(source)
    assert given[0].frame.picture.tags == ColorTags(9, 16, 9, MASTERING, LIGHT)
    write_all(EncodeVideo({"": tmp_path / out}), drawn(given))
    assert packets_of(tmp_path / out)[0].frame.picture.tags == ColorTags(9, 16, 9, MASTERING, LIGHT)


@pytest.mark.parametrize(
    "tags",
    [
        ColorTags(9, 16, 9, (50_001, *MASTERING[1:]), (70_000, 0)),
        ColorTags(9, 16, 9, (*MASTERING[:8], 2**31, -1), (0, 2**32 - 1)),
    ],
)
def test_light_that_h264_cannot_say_is_left_out(tmp_path: Path, tags: ColorTags) -> None:
    black = np.full((64, 96), 16, np.uint8)
    gray = np.full((32, 48), 128, np.uint8)
    picture = Picture("yuv420p", (black, gray, gray.copy()), matrix="bt2020", tags=tags)
    write_all(EncodeVideo({"s": tmp_path / "out.mp4"}, picture=None), [Packet(frame(0, picture=picture))])
    assert packets_of(tmp_path / "out.mp4")[0].frame.picture.tags == ColorTags(9, 16, 9)


def test_a_change_to_hdr_goes_on_in_a_further_part(tmp_path: Path) -> None:
    one = packets_of(tagged_clip(tmp_path / "a.mp4", (9, 14, 9)))
    two = packets_of(tagged_clip(tmp_path / "b.mp4", HLG))
    given = [Packet(frame(i, picture=p.frame.picture)) for i, p in enumerate([*one, *two])]
    write_all(EncodeVideo({"s": tmp_path / "out.mp4"}, picture=None), given)
    assert written_tags(tmp_path / "out.mp4") == [(9, 14, 9, 1)] * 3
    assert written_tags(tmp_path / "out.part2.mp4") == [(*HLG, 1)] * 3


def test_rgb_is_tagged_as_it_is_coded(tmp_path: Path) -> None:
    picture = Picture("rgb24", (picture_rgb(0),), matrix="rgb", full_range=True, tags=ColorTags(1, 13, 2))
    write_all(EncodeVideo({"s": tmp_path / "out.mp4"}, picture=None), [Packet(frame(0, picture=picture))])
    assert written_tags(tmp_path / "out.mp4") == [(1, 13, 1, 1)]


@pytest.mark.parametrize("tags", [PQ, HLG, P3])
def test_a_png_says_which_colours_it_has(tmp_path: Path, tags: tuple[int, int, int]) -> None:
    given = drawn(packets_of(tagged_clip(tmp_path / "in.mp4", tags)))
    write_all(WriteImages({"": tmp_path / "%d.png"}), given)
    data = (tmp_path / "0.png").read_bytes()
    place = data.index(b"cICP")
    assert place < data.index(b"IDAT")
    assert tuple(data[place + 4 : place + 8]) == (*tags[:2], 0, 1)
    with av.open(str(tmp_path / "0.png")) as container:
        found = next(container.decode(video=0))
        assert (found.color_primaries, found.color_trc) == tags[:2]
    with Image.open(tmp_path / "0.png") as image:
        np.testing.assert_array_equal(np.asarray(image), given[0][ANNOTATED].rgb())


def test_a_jpeg_of_hdr_is_said_to_look_flat(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_all(WriteImages({"": tmp_path / "%d.jpg"}), drawn(packets_of(tagged_clip(tmp_path / "in.mp4", HLG))))
    assert [r.getMessage() for r in caplog.records] == [
        "s: its colours are HDR (HLG); a JPEG cannot say so, and they will look flat: write .png, or a video"
    ]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_colour_profile_is_kept(tmp_path: Path, suffix: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(picture_rgb(0)).save(tmp_path / f"in.{suffix}", icc_profile=profile)
    picture = read_image(tmp_path / f"in.{suffix}")
    given = drawn([Packet(frame(0, picture=picture))])
    for out in ("png", "jpg"):
        write_all(WriteImages({"": tmp_path / f"%d.{out}"}), given)
        with Image.open(tmp_path / f"0.{out}") as image:
            assert image.info["icc_profile"] == profile


def test_a_video_of_pngs_with_a_profile_is_read(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with av.open(str(tmp_path / "in.mov"), "w") as container:
        stream = None
        for number in range(5):
            Image.fromarray(picture_rgb(number)).save(tmp_path / "one.png", icc_profile=profile)
            with av.open(str(tmp_path / "one.png")) as one:
                stream = stream or container.add_stream_from_template(one.streams.video[0])
                packet = av.Packet(bytes(next(one.demux(video=0))))
            packet.pts, packet.dts, packet.duration = number, number, 1
            packet.time_base, packet.stream = Fraction(1, 25), stream
            container.mux(packet)
    for _ in range(5):  # memory was freed twice, which is not noticed every time
        given = packets_of(tmp_path / "in.mov")
        assert [read_number(one.frame.picture.rgb()) for one in given] == [0, 1, 2, 3, 4]


def test_a_profile_of_cmyk_is_not_put_on_rgb(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile[:16] + b"CMYK" + profile[20:]
    Image.new("CMYK", (64, 48), (0, 200, 200, 0)).save(tmp_path / "in.jpg", icc_profile=profile)
    picture = read_image(tmp_path / "in.jpg")
    assert picture.tags.icc_profile == b""
    assert picture.rgb()[20, 20, 0] > 200


def test_a_matrix_that_is_not_read_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = packets_of(tagged_clip(tmp_path / "in.mkv", (1, 1, 8)))  # YCgCo
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'in.mkv'}: the colour matrix 8 of ITU-T H.273 is not read; "
        "colours are taken for BT.601, and wrong"
    ]
    write_all(EncodeVideo({"": tmp_path / "out.mkv"}, picture=None), given)
    assert written_tags(tmp_path / "out.mkv") == [(1, 1, 8, 1)] * 3  # samples are as they were, and so is their name


def test_sdr_is_written_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = drawn(packets_of(tagged_clip(tmp_path / "in.mp4", BT709)))
    for sink in (WriteImages({"": tmp_path / "%d.png"}), WriteImages({"": tmp_path / "%d.jpg"})):
        write_all(sink, given)
    write_all(EncodeVideo({"": tmp_path / "out.mp4"}), given)
    assert b"cICP" not in (tmp_path / "0.png").read_bytes()
    assert not caplog.records
    assert len(read_video(tmp_path / "out.mp4").times) == 3


def test_the_hlg_of_the_case_stays_hlg(tmp_path: Path, shared: Any) -> None:
    given = packets_of(shared("cases/hlg.mp4"))
    write_all(EncodeVideo({"": tmp_path / "out.mp4"}), drawn(given))
    assert set(written_tags(tmp_path / "out.mp4")) == {(*HLG, 1)}
