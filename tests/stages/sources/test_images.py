"""Images as sources: formats, orientation, order, timing, and images that cannot be read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from vidgraph.pipeline.errors import SourceError, UsageError
from vidgraph.pipeline.stage import Source
from vidgraph.stages.sources.av_picture import Orientation
from vidgraph.stages.sources.image_bytes import exif_orientation, is_cut_off
from vidgraph.stages.sources.images import ImageSource, images_in, images_of_pattern, natural_key, read_image

from ...tolerances import TOLERANCES
from ..clips import PATCHES, patch_means, picture_rgb, read_number

ORIENTATION_TAG = 0x0112


def write(path: Path, number: int = 0, *, size: tuple[int, int] = (64, 96), **options: Any) -> Path:
    Image.fromarray(picture_rgb(number, size)).save(path, **options)
    return path


def read(paths: list[Path], **options: Any) -> tuple[list[Any], dict[str, int]]:
    source = ImageSource(paths, stream_id="photos", **options)
    source.open()
    frames = list(source.frames())
    source.close()
    return frames, source.problems


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "ppm"])
def test_lossless_formats_are_exact(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    picture = read_image(write(tmp_path / f"image.{suffix}", 5, **options))
    assert (picture.format, picture.matrix, picture.full_range, picture.rotation) == ("rgb24", "rgb", True, 0)
    np.testing.assert_array_equal(picture.rgb(), picture_rgb(5))


@pytest.mark.parametrize(("subsampling", "expected"), [(0, "yuv444p"), (1, "yuv422p"), (2, "yuv420p")])
def test_jpeg(tmp_path: Path, subsampling: int, expected: str) -> None:
    picture = read_image(write(tmp_path / "image.JPG", 5, quality=100, subsampling=subsampling))
    assert (picture.format, picture.matrix, picture.full_range) == (expected, "bt601", True)
    assert read_number(picture.rgb()) == 5
    assert np.abs(patch_means(picture.rgb()) - PATCHES).max() <= TOLERANCES["decoded colour patch, JPEG"][0]


def test_lossy_webp(tmp_path: Path) -> None:
    picture = read_image(write(tmp_path / "image.webp", 5, quality=100))
    assert (picture.format, picture.full_range) == ("yuv420p", False)
    assert np.abs(patch_means(picture.rgb()) - PATCHES).max() <= TOLERANCES["decoded colour patch, JPEG"][0]


def gray(dtype: type[np.generic]) -> NDArray[Any]:
    ramp = np.linspace(0, np.iinfo(dtype).max, 96)  # type: ignore[type-var]
    return np.tile(ramp, (64, 1)).astype(dtype)


def test_gray_png_of_8_and_16_bits(tmp_path: Path) -> None:
    Image.fromarray(gray(np.uint8)).save(tmp_path / "8.png")
    Image.fromarray(gray(np.uint16)).save(tmp_path / "16.png")
    eight, sixteen = read_image(tmp_path / "8.png"), read_image(tmp_path / "16.png")
    assert eight.format == sixteen.format == "gray"
    assert eight.full_range
    assert sixteen.full_range
    np.testing.assert_array_equal(eight.rgb()[..., 1], gray(np.uint8))
    assert np.abs(sixteen.rgb()[..., 0].astype(int) - gray(np.uint8)).max() <= 1


def test_16_bit_rgb_png(tmp_path: Path) -> None:
    import av

    frame = av.VideoFrame.from_ndarray(picture_rgb(3).astype(np.uint16) * 257, format="rgb48le")
    frame.save(tmp_path / "image.png")
    picture = read_image(tmp_path / "image.png")
    assert picture.format == "rgb24"
    assert np.abs(picture.rgb().astype(int) - picture_rgb(3)).max() <= 1


def test_palette_alpha_and_bilevel(tmp_path: Path) -> None:
    rgb = picture_rgb(9)
    Image.fromarray(rgb).quantize(16).save(tmp_path / "palette.png")
    Image.fromarray(np.dstack([rgb, np.full(rgb.shape[:2], 7, np.uint8)])).save(tmp_path / "alpha.png")
    Image.fromarray(rgb[..., 1] > 127).save(tmp_path / "bilevel.png")
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png").rgb(), rgb)
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.png").rgb(), rgb)  # transparency is left out
    np.testing.assert_array_equal(read_image(tmp_path / "bilevel.png").rgb()[..., 0], (rgb[..., 1] > 127) * 255)


def upright(rgb: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """What Pillow shows of a picture stored with an Exif orientation."""
    transpose = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    image = Image.fromarray(rgb)
    return np.asarray(image if orientation == 1 else image.transpose(Image.Transpose(transpose[orientation])))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff"])
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(suffix, {})
    path = write(tmp_path / f"image.{suffix}", 5, exif=exif, **options)
    picture = read_image(path)
    shown = upright(picture_rgb(5), orientation)
    assert picture.rotation == {3: 180, 4: 180, 5: 270, 6: 90, 7: 90, 8: 270}.get(orientation, 0)
    limit = TOLERANCES["decoded colour patch, JPEG"][0] if suffix == "jpg" else 0
    assert np.median(np.abs(picture.rgb().astype(int) - shown)) <= limit
    assert (np.abs(picture.rgb().astype(int) - shown).max(axis=2) > limit).mean() < (0.35 if suffix == "jpg" else 1e-9)


def test_orientation_of_other_byte_order_and_of_nonsense() -> None:
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    block = b"MM\x00*\x00\x00\x00\x08\x00\x01" + entry
    assert exif_orientation(block) == Orientation(90)
    jpeg = b"\xff\xd8\xff\xe1\x00\x00Exif\x00\x00"
    assert exif_orientation(jpeg + block) == Orientation(90)
    for data in (
        b"",
        b"\xff\xd8",
        jpeg,
        jpeg + block[:12],
        b"II*\0\xff\xff\xff\xff",
        b"\x89PNG\r\n\x1a\n\0\0",
        b"RIFF1234WEBPxx",
    ):
        assert exif_orientation(data) == Orientation()


def test_natural_order(tmp_path: Path) -> None:
    for name in ("b1.png", "a10.png", "a9.PNG", "a1.jpg", "A2.png", ".hidden.png"):
        write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.d").mkdir()
    assert [path.name for path in images_in(tmp_path)] == ["a1.jpg", "A2.png", "a9.PNG", "a10.png", "b1.png"]
    assert sorted(map(Path, ["x", "1", "x1y", "x1"]), key=natural_key) == [Path(n) for n in ("1", "x", "x1", "x1y")]


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(SourceError, match=rf"{tmp_path} is a folder without images \(bmp, .*; for videos give"):
        images_in(tmp_path)


def test_numbered_sequences(tmp_path: Path) -> None:
    for name in ("f_000010.png", "f_000002.png", "f_3.png", "f_1000000.png", "g_000001.png"):
        write(tmp_path / name)
    names = [path.name for path in images_of_pattern(str(tmp_path / "f_%06d.png"))]
    assert names == ["f_000002.png", "f_000010.png", "f_1000000.png"]
    assert [path.name for path in images_of_pattern(str(tmp_path / "f_%d.png"))][:2] == ["f_000002.png", "f_3.png"]
    with pytest.raises(SourceError, match=r"no file matches .*h_%d\.png"):
        images_of_pattern(str(tmp_path / "h_%d.png"))


def test_frames_of_images(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.png", n, size=(64, 96) if n < 3 else (96, 64)) for n in range(5)]
    source = ImageSource(paths, stream_id="photos")
    assert isinstance(source, Source)
    assert (source.live, source.expected_frames) == (False, 5)
    frames, problems = read(paths)
    assert [read_number(frame.picture.rgb()) for frame in frames] == list(range(5))
    assert [(f.index, f.pts_ns, f.duration_ns) for f in frames] == [(n, n * 40_000_000, 40_000_000) for n in range(5)]
    assert all(frame.pts * frame.time_base * 10**9 == frame.pts_ns for frame in frames)
    assert [frame.epoch for frame in frames] == [0, 0, 0, 1, 1]
    assert {frame.stream_id for frame in frames} == {"photos"}
    assert problems == {}


def test_a_part_of_the_images(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.png", n) for n in range(6)]
    frames, _ = read(paths, start=0.08, end=0.2)
    assert [read_number(frame.picture.rgb()) for frame in frames] == [2, 3, 4]
    assert [(frame.index, frame.pts_ns) for frame in frames] == [(0, 80_000_000), (1, 120_000_000), (2, 160_000_000)]
    assert len(read(paths, frames=2)[0]) == 2
    with pytest.raises(SourceError, match=r"photos: its 6 image\(s\) end at 0.2 s, before the start asked for"):
        read(paths, start=5)
    with pytest.raises(UsageError, match="frames must be at least 1"):
        read(paths, frames=0)


def test_images_that_cannot_be_decoded(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.png", n) for n in range(4)]
    paths[0].write_bytes(b"")
    paths[2].write_bytes(paths[2].read_bytes()[:20])
    frames, problems = read(paths)
    assert [(frame.index, read_number(frame.picture.rgb())) for frame in frames] == [(1, 1), (3, 3)]
    assert problems == {"lost": 2}
    for single in (paths[0], paths[2], tmp_path / "none.png"):
        with pytest.raises(SourceError, match=single.name):
            read([single])
    with pytest.raises(SourceError, match=r"0\.png is empty"):
        read([paths[2], paths[0]])


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_truncated_image_is_damaged_or_lost(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"cut.{suffix}", exif=Image.Exif(), size=(256, 384))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    frames, problems = read([path, write(tmp_path / "good.png")])
    assert problems in ({"damaged": 1}, {"lost": 1})
    assert len(frames) == 2 - problems.get("lost", 0)
    assert [frame.damaged for frame in frames] == [True, False][-len(frames) :]


def test_what_is_cut_off(tmp_path: Path) -> None:
    thumbnail = io.BytesIO()
    Image.fromarray(picture_rgb(0)).save(thumbnail, "JPEG")
    data = write(tmp_path / "image.jpg", comment=thumbnail.getvalue()).read_bytes()
    assert not is_cut_off(data)
    assert not is_cut_off(data + b"\xff\xda trailer")
    assert is_cut_off(data[:-2])
    assert is_cut_off(data[:100])
    assert not is_cut_off(b"II*\0")
