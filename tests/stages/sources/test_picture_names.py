"""Pictures keep their names: in frames, in what is said of them, in the files that are made of them."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from vidgraph.pipeline.errors import OutputError, SourceError, UsageError
from vidgraph.pipeline.packet import Packet
from vidgraph.pipeline.results.format import frame_record, header_record
from vidgraph.stages.sinks.addresses import OutputStream
from vidgraph.stages.sinks.named_files import picture_names
from vidgraph.stages.sinks.registry import Outputs
from vidgraph.stages.sinks.video import EncodeVideo
from vidgraph.stages.sources.images import ImageSource, images_in, read_image, read_image_file
from vidgraph.stages.sources.registry import open_source

from ...tolerances import TOLERANCES
from ..clips import make_clip, patch_means, picture_rgb, read_number
from ..heif import write_heif
from ..sinks.sinks import read_video, write_all

HARD_NAMES = ["a b.png", "a'\"b.png", "a=b.png", "a%06d.png", "{stream}.png", "-o.png", "ünï✓.png", "line\nend.png"]


def save(path: Path, number: int = 0, size: tuple[int, int] = (64, 96), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture_rgb(number, size)).save(path, **options)
    return path


def frames_of(address: Path | str, **options: Any) -> list[Any]:
    (source,) = open_source(address, **options)
    source.open()
    frames = list(source.frames())
    source.close()
    return frames


def stream(source: Any) -> OutputStream:
    return OutputStream(stream_id=source.stream_id, pictures=source.pictures)


def test_names_of_a_folder_a_glob_a_sequence_and_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("p2.png", "p10.png", "sub/p3.png", "sub/deep/p4.png"):
        save(tmp_path / "photos" / name)
    monkeypatch.chdir(tmp_path)
    for address, names in (
        ("photos", ["p2.png", "p10.png"]),
        (tmp_path / "photos", ["p2.png", "p10.png"]),
        ("photos/*.png", ["p2.png", "p10.png"]),
        ("photos/**/*.png", ["p2.png", "sub/p3.png", "sub/deep/p4.png", "p10.png"]),
        (f"{tmp_path}/ph*/p?.png", ["photos/p2.png"]),
        ("photos/p%d.png", ["p2.png", "p10.png"]),
        ("photos/p2.png", ["p2.png"]),
    ):
        frames = frames_of(address)
        assert [frame.file for frame in frames] == names
        assert [frame_record(Packet(frame))["file"] for frame in frames] == names
    frames = frames_of("photos/**/*.png", start=0.04, frames=2)
    assert [(frame.index, frame.file) for frame in frames] == [(0, "sub/p3.png"), (1, "sub/deep/p4.png")]
    (source,) = open_source("photos/**/*.png", start=0.04, frames=2)
    assert isinstance(source, ImageSource)
    assert [name for name, _ in source.pictures] == ["sub/p3.png", "sub/deep/p4.png"]


def test_a_video_has_no_file_of_its_own(tmp_path: Path) -> None:
    frames = frames_of(make_clip(tmp_path / "in.mp4", frames=2))
    assert [frame.file for frame in frames] == [None, None]
    assert "file" not in frame_record(Packet(frames[0]))


def test_pictures_of_one_name_in_several_folders_have_an_order(tmp_path: Path) -> None:
    for folder in "cab":
        save(tmp_path / folder / "x.png")
    assert [frame.file for frame in frames_of(f"{tmp_path}/*/x.png")] == ["a/x.png", "b/x.png", "c/x.png"]


def test_digits_that_are_no_numbers_do_not_stop_the_order(tmp_path: Path) -> None:
    for name in ("1²2.png", "1.png", "²³.png"):
        save(tmp_path / name)
    assert len(images_in(tmp_path)) == 3


def test_what_cannot_be_read_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "a.png", 1)
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "no.jpg").write_text("not a picture")
    cut = save(tmp_path / "z.jpg", 2, (256, 384), quality=95).read_bytes()
    (tmp_path / "z.jpg").write_bytes(cut[: len(cut) * 2 // 3])
    frames = frames_of(tmp_path)
    assert [(frame.index, frame.file, frame.damaged) for frame in frames] == [(0, "a.png", False), (3, "z.jpg", True)]
    said = [record.getMessage() for record in caplog.records]
    assert [name for message in said for name in ("empty.jpg", "no.jpg", "z.jpg") if name in message] == [
        "empty.jpg", "no.jpg", "z.jpg",
    ]  # fmt: skip
    assert said[0].endswith("empty.jpg is empty (0 bytes)")


def test_videos_in_a_folder_of_pictures_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "a.png")
    for name in ("clip.MP4", "b.gif", "c.psd", "notes.txt", ".hidden.mp4", "labels.json"):
        (tmp_path / name).write_text("x")
    assert [path.name for path in images_in(tmp_path)] == ["a.png"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: left out, because they are no pictures that are read: b.gif, c.psd, clip.MP4"
    ]


@pytest.mark.parametrize("suffix", ["jp2", "avif", "heic", "pnm"])
def test_further_kinds_of_pictures(tmp_path: Path, suffix: str) -> None:
    path, rgb = tmp_path / f"a.{suffix}", picture_rgb(5)
    if suffix == "heic":
        write_heif(path, [rgb])
    else:
        Image.fromarray(rgb).save(path, **({"quality": 100, "subsampling": "4:4:4"} if suffix == "avif" else {}))
    (frame,) = frames_of(tmp_path)
    assert frame.file == path.name
    assert read_number(frame.picture.rgb()) == 5
    assert np.abs(patch_means(frame.picture.rgb()) - patch_means(rgb)).max() <= 8


def test_an_avif_is_turned_once(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "a.avif", 5, exif=exif, quality=100)
    turned = read_image(tmp_path / "a.avif").rgb()
    assert turned.shape == (96, 64, 3)
    assert read_number(np.rot90(turned)) == 5


def test_a_picture_of_tiles_is_not_taken_for_one_tile(tmp_path: Path) -> None:
    path = write_heif(tmp_path / "a.heic", [picture_rgb(1), picture_rgb(2)])
    with pytest.raises(SourceError, match=r"a\.heic: its picture is made of tiles, which are not read; convert it"):
        read_image(path)


def test_a_picture_without_a_white_says_so(tmp_path: Path) -> None:
    Image.fromarray(np.ones((8, 9), np.float32)).save(tmp_path / "a.tiff", big_tiff=True)
    with pytest.raises(SourceError, match=r"cannot read .*a\.tiff: an image of mode 'F' does not say which value is"):
        read_image(tmp_path / "a.tiff")


def test_what_only_pillow_reads(tmp_path: Path) -> None:
    save(tmp_path / "a.tiff", 3, big_tiff=True)
    image = read_image_file(tmp_path / "a.tiff")
    np.testing.assert_array_equal(image.picture.rgb(), picture_rgb(3))
    assert (image.damaged, image.count) == (False, 1)


def test_names_of_files_that_are_made() -> None:
    def names(*files: str) -> list[str]:
        return picture_names("o/{name}.png", {"s": files})["s"]

    assert names("a.png", "sub/a.png", "b.JPG") == ["a", "sub/a", "b"]
    assert names("q.jpg", "q.png", "r.png") == ["q.jpg", "q.png", "r"]
    assert names("IMG.jpg", "img.png") == ["IMG.jpg", "img.png"]
    assert names("q.jpg", "q.png", "q.jpg.png") == ["q.jpg", "q.png", "q.jpg.png"]
    assert names("a.tar.png") == ["a.tar"]
    assert picture_names("{name}.png", {"a": ["x.png"], "b": ["y.png"]}) == {"a": ["x"], "b": ["y"]}
    with pytest.raises(UsageError, match=r"would write x\.png twice, of two streams; put \{stream\} into it, as in o/"):
        picture_names("o/{name}.png", {"a": ["x.png"], "b": ["x.png"]})


@pytest.mark.skipif(sys.platform == "win32", reason="these names are for file systems that allow them")
def test_drawn_pictures_have_the_names_of_those_read(tmp_path: Path) -> None:
    read = tmp_path / "in"
    for number, name in enumerate([*HARD_NAMES, "q.jpg", "q.png", "n" * 250 + ".png"]):
        save(read / name, number, quality=95)
    Image.fromarray(picture_rgb(99)).save(os.fsencode(read) + b"/\xff\xfe.png")
    (source,) = open_source(read)
    outputs = Outputs([str(tmp_path / "out/{name}.png")], [stream(source)])
    (sink,) = outputs.sinks(drawn=False)
    frames = frames_of(read)
    write_all(sink, [Packet(frame) for frame in frames])
    stems = {name: name.removesuffix(".png") for name in [*HARD_NAMES, "n" * 250 + ".png", "\udcff\udcfe.png"]}
    stems |= {"q.jpg": "q.jpg", "q.png": "q.png"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"{s}.png" for s in stems.values())
    for frame in frames:
        with Image.open(tmp_path / "out" / f"{stems[frame.file]}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), frame.picture.rgb())


def test_folders_of_a_glob_are_made_again(tmp_path: Path) -> None:
    for name in ("x.png", "sub/x.png"):
        save(tmp_path / "in" / name)
    address = f"{tmp_path}/in/**/*.png"
    (source,) = open_source(address)
    (sink,) = Outputs([str(tmp_path / "out/{name}.jpg")], [stream(source)]).sinks(drawn=False)
    write_all(sink, [Packet(frame) for frame in frames_of(address)])
    assert sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "out").rglob("*.*")) == [
        "out/sub/x.jpg",
        "out/x.jpg",
    ]


def test_what_is_there_already_and_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    for name in ("x.png", "y.png"):
        save(tmp_path / "in" / name)
    (source,) = open_source(tmp_path / "in")
    streams = [stream(source)]
    for overwrite in (False, True):
        for address in ("in/{name}.png", "in/%d.png"):
            save(tmp_path / "in" / "7.png")
            (seven,) = open_source(tmp_path / "in")
            with pytest.raises(UsageError, match=r"would write .*/in/\w\.png, the file of source"):
                Outputs([str(tmp_path / address)], [stream(seven)], overwrite=overwrite)
    save(tmp_path / "out" / "x.png")
    save(tmp_path / "out" / "mine.png")
    address = str(tmp_path / "out/{name}.png")
    with pytest.raises(OutputError, match=r"out/x\.png exists already"):
        Outputs([address], streams)
    (sink,) = Outputs([address], streams, overwrite=True).sinks(drawn=False)
    sink.open()
    sink.close()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.png"]


def test_names_are_for_pictures(tmp_path: Path) -> None:
    address = str(tmp_path / "out/{name}.png")
    with pytest.raises(UsageError, match=r"is named after pictures, and 'clip' is a video .*: .*out/%06d\.png"):
        Outputs([address], [OutputStream(stream_id="clip")])
    assert not (tmp_path / "out").exists()


def test_a_run_goes_on_after_the_last_picture_that_was_written(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png"):
        save(tmp_path / "in" / name)
    (source,) = open_source(tmp_path / "in")
    frames = frames_of(tmp_path / "in")
    lines = [header_record(), *(frame_record(Packet(frame)) for frame in frames[:3])]
    from vidgraph.pipeline.results.format import dumps

    (tmp_path / "r.jsonl").write_text("".join(dumps(line) + "\n" for line in lines))
    for name in ("a.png", "b.png"):
        save(tmp_path / "out" / name)
    outputs = Outputs([str(tmp_path / "r.jsonl"), str(tmp_path / "out/{name}.png")], [stream(source)], resume=True)
    assert outputs.resume_after("in") == 1


@pytest.mark.parametrize("first", [(64, 96), (200, 120)])
def test_pictures_of_several_sizes_make_one_video(
    tmp_path: Path, first: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    sizes = [first, (128, 96), first, (33, 51), (64, 96)]
    for number, size in enumerate(sizes):
        save(tmp_path / "in" / f"{number}.png", number, size)
    Image.fromarray(picture_rgb(5, first)).save(tmp_path / "in" / "5.jpg", quality=98)
    Image.fromarray(picture_rgb(6, first)).convert("L").save(tmp_path / "in" / "6.png")
    given = [Packet(frame) for frame in frames_of(tmp_path / "in")]
    with caplog.at_level(logging.WARNING):
        write_all(EncodeVideo({"": tmp_path / "out.mp4"}, picture=None), given)
    found = read_video(tmp_path / "out.mp4", pictures=True)
    assert {rgb.shape[:2] for rgb in found.pictures} == {first}
    assert found.times == pytest.approx([index / 25 for index in range(7)])
    assert [path.name for path in tmp_path.glob("out*")] == ["out.mp4"]
    assert [record.getMessage() for record in caplog.records] == [
        f"in: the pictures have several sizes; in out.mp4 they are fitted into that of the first, {first[1]}"
        f"x{first[0]}, with black bars (-o 'out/{{name}}.png' keeps each as it is)"
    ]
    for index in (0, 2, 5):
        error = patch_means(found.pictures[index]) - patch_means(given[index].frame.picture.rgb())
        assert np.abs(error).max() <= TOLERANCES["encoded colour patch"][0]
    fitted = found.pictures[1].astype(int)  # of 96x128: bars at the sides, or above and below
    bars = fitted[:, :20] if first == (64, 96) else fitted[:10]
    assert bars.max() < 30
    assert fitted[first[0] // 2, first[1] // 2].max() > 60


def test_colours_after_a_gray_first_picture(tmp_path: Path) -> None:
    Image.fromarray(picture_rgb(0)).convert("L").save(_folder(tmp_path) / "0.png")
    for number in (1, 2):
        save(tmp_path / "in" / f"{number}.png", number)
    frames = frames_of(tmp_path / "in")
    write_all(EncodeVideo({"": tmp_path / "out.mp4"}, picture=None), [Packet(frame) for frame in frames])
    (source,) = open_source(tmp_path / "out.mp4")
    source.open()
    for written, frame in zip(source.frames(), frames, strict=True):
        assert (written.picture.matrix, written.picture.matrix_assumed) == ("bt601", False)
        error = patch_means(written.picture.rgb()) - patch_means(frame.picture.rgb())
        assert np.abs(error).max() <= TOLERANCES["encoded colour patch"][0]
    source.close()


def _folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_pictures_of_one_size_are_coded_as_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(4):
        save(tmp_path / "in" / f"{number}.jpg", number, quality=98)
    write_all(
        EncodeVideo({"": tmp_path / "out.mp4"}, picture=None), [Packet(frame) for frame in frames_of(tmp_path / "in")]
    )
    assert [read_number(rgb) for rgb in read_video(tmp_path / "out.mp4", pictures=True).pictures] == [0, 1, 2, 3]
    assert not caplog.records
