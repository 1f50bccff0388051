"""Pictures as numbered files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from vidgraph.pipeline.errors import OutputError
from vidgraph.pipeline.packet import Packet
from vidgraph.pipeline.stage import EndReason, Sink
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.drawing.draw import ANNOTATED
from vidgraph.stages.sinks.images import WriteImages

from ...tolerances import TOLERANCES
from ..clips import patch_means, picture_rgb
from .sinks import frame, packets, write_all


def rgb_packets(count: int) -> list[Packet]:
    return [Packet(frame(index, picture=Picture.from_rgb(picture_rgb(index)))) for index in range(count)]


@pytest.mark.parametrize(
    ("pattern", "names"), [("%d.png", ["0.png", "1.png"]), ("f-%04d.PNG", ["f-0000.PNG", "f-0001.PNG"])]
)
def test_png_is_exact(tmp_path: Path, pattern: str, names: list[str]) -> None:
    sink = WriteImages({"s": tmp_path / "new" / pattern}, picture=None)
    assert isinstance(sink, Sink)
    write_all(sink, rgb_packets(2))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == names
    for index, name in enumerate(names):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / name)), picture_rgb(index))


@pytest.mark.parametrize("suffix", ["jpg", "jpeg"])
def test_jpeg_shows_the_picture(tmp_path: Path, suffix: str) -> None:
    write_all(WriteImages({"s": tmp_path / f"%06d.{suffix}"}, picture=None), rgb_packets(1))
    with Image.open(tmp_path / f"000000.{suffix}") as image:
        assert image.format == "JPEG"
        error = patch_means(np.asarray(image)) - patch_means(picture_rgb(0))
    assert np.abs(error).max() < TOLERANCES["decoded colour patch, JPEG"][0]


def test_annotated_pictures_are_written_and_dropped_frames_undrawn(tmp_path: Path) -> None:
    white = Picture.from_rgb(np.full((64, 96, 3), 255, np.uint8))
    given = [packet.with_item(ANNOTATED, white) for packet in packets(2)]
    given[1] = Packet(frame(1)).dropped("failed")
    write_all(WriteImages({"s": tmp_path / "%d.png"}), given)
    assert np.asarray(Image.open(tmp_path / "0.png")).min() == 255
    assert np.asarray(Image.open(tmp_path / "1.png")).min() < 20


def test_overwrite_removes_the_pictures_of_an_earlier_run_only(tmp_path: Path) -> None:
    for name in ("7.png", "70.png", "a7.png", "7.jpg", "notes.txt"):
        (tmp_path / name).write_text("old")
    write_all(WriteImages({"s": tmp_path / "%d.png"}, picture=None, overwrite=True), rgb_packets(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "7.jpg", "a7.png", "notes.txt"]


@pytest.mark.parametrize("key", ["s", ""])
def test_a_folder_replaced_just_before_the_end_is_noticed_at_the_end(tmp_path: Path, key: str) -> None:
    sink = WriteImages({key: tmp_path / "f" / "%d.png"}, picture=None)
    sink.open()
    first, second = rgb_packets(2)
    sink.write(first)
    (tmp_path / "f").rename(tmp_path / "elsewhere")
    (tmp_path / "f").mkdir()
    sink.write(second)  # so soon after the first that nobody looks
    with pytest.raises(OutputError, match=r"cannot go on with .*: it was removed, renamed or replaced"):
        sink.end_stream("s", EndReason.FINISHED)
    sink.close()
    write_all(WriteImages({key: tmp_path / "f" / "%d.png"}, picture=None, overwrite=True), rgb_packets(1))


def test_a_folder_that_cannot_be_made_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*file/%d\.png: "):
        WriteImages({"s": tmp_path / "file" / "%d.png"}).open()


def test_a_failed_write_is_one_line_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Image.Image, path: Path, **options: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(
        OutputError, match=r"cannot write .*0\.png: the disk is full; the pictures written before are whole"
    ):
        write_all(WriteImages({"s": tmp_path / "%d.png"}, picture=None), rgb_packets(1))
    assert list(tmp_path.iterdir()) == []
