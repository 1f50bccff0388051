"""What a model may be called on, and what is said of everything else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from vidgraph import Picture
from vidgraph.models import Model, load_model
from vidgraph.models.given_image import given_image
from vidgraph.pipeline.errors import SourceError, UsageError, VidgraphError

RED = (230, 20, 20)


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    rgb = np.full((48, 80, 3), 90, np.uint8)
    rgb[10:20, 30:60] = RED
    return rgb


@pytest.fixture
def model(exported: Path) -> Iterator[Model]:
    with load_model("retinaface-slim", weights=exported, size=96, precision="fp32", min_score=0.0) as loaded:
        yield loaded


def test_a_path_a_pillow_image_and_a_picture_are_what_the_array_is(
    model: Model, image: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = tmp_path / "a b.png"
    Image.fromarray(image).save(path)
    wanted = model(image)
    assert len(wanted.detections)
    for given in (str(path), path, Image.open(path), Image.fromarray(image), Picture.from_rgb(image)):
        found = model(given)
        np.testing.assert_array_equal(found.image, image)
        np.testing.assert_array_equal(found.detections.boxes, wanted.detections.boxes)
    assert wanted.file is None
    result = model.stream("door")(path, time_s=2.5)
    assert (result.file, result.to_dict()["file"], result.stream, result.time_s) == ("a b.png", "a b.png", "door", 2.5)
    assert "a b.png" in repr(result)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[..., ::-1],
        lambda a: a[::-1],
        lambda a: a[:, ::2],
        np.asfortranarray,
        lambda a: a[5:30, 7:50],
        lambda a: np.ascontiguousarray(a.transpose(2, 0, 1)).transpose(1, 2, 0),
    ],
    ids=["bgr", "upside down", "every other column", "fortran", "part", "planes"],
)
def test_arrays_of_any_layout(view: Callable[[Any], Any], image: NDArray[np.uint8]) -> None:
    given = view(image)
    np.testing.assert_array_equal(given_image(given).picture.rgb(), given)


def test_an_array_is_neither_changed_nor_needs_to_be_writable(image: NDArray[np.uint8]) -> None:
    fixed = image.copy()
    fixed.flags.writeable = False
    np.testing.assert_array_equal(given_image(fixed).picture.rgb(), image)
    free = image.copy()
    given_image(free)
    assert free.flags.writeable


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB", "RGBa"])
def test_pillow_images_of_every_colour_mode(mode: str, image: NDArray[np.uint8]) -> None:
    source = Image.fromarray(image)
    if mode in ("P", "PA"):
        source = source.quantize(8)
    if mode == "RGBa":
        source = source.convert("RGBA")
    rgb = given_image(source.convert(mode)).picture.rgb().astype(int)
    assert np.abs(rgb - image).max() <= {"P": 2, "PA": 2, "HSV": 3, "LAB": 12, "YCbCr": 3}.get(mode, 0)


@pytest.mark.filterwarnings("error")
def test_transparency_is_left_out(image: NDArray[np.uint8]) -> None:
    clear = Image.fromarray(np.dstack([image, np.zeros(image.shape[:2], np.uint8)]))
    np.testing.assert_array_equal(given_image(clear).picture.rgb(), image)
    palette = Image.fromarray(image).quantize(8)
    palette.info["transparency"] = bytes(range(8))
    assert np.abs(given_image(palette).picture.rgb().astype(int) - image).max() <= 2


def test_gray_pillow_images_of_1_8_and_16_bits(image: NDArray[np.uint8]) -> None:
    gray = image[..., 0]
    np.testing.assert_array_equal(given_image(Image.fromarray(gray)).picture.rgb(), gray[..., None].repeat(3, 2))
    deep = Image.fromarray(gray.astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    np.testing.assert_array_equal(given_image(deep).picture.rgb()[..., 0], gray)
    np.testing.assert_array_equal(given_image(Image.fromarray(gray > 99)).picture.rgb()[..., 0], (gray > 99) * 255)
    for mode in ("LA", "La"):
        shown = given_image(Image.fromarray(gray).convert("LA").convert(mode)).picture.rgb()[..., 0]
        np.testing.assert_array_equal(shown, gray)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_files_and_pillow_images_are_turned_alike(suffix: str, image: NDArray[np.uint8], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"lossless": True} if suffix == "webp" else {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(image).save(path, exif=exif, **options)
    shown = np.rot90(image, -1).astype(int)
    with Image.open(path) as opened:
        for given in (path, opened):
            rgb = given_image(given).picture.rgb()
            assert rgb.shape == shown.shape
            assert np.median(np.abs(rgb - shown)) <= (3 if suffix == "jpg" else 0)


@pytest.mark.parametrize(
    ("make", "got", "hint"),
    [
        (lambda a: a / 255, r"float64 \[48, 80, 3\]", r"\(image \* 255\)\.round\(\)\.astype\(numpy\.uint8\)"),
        (lambda a: a.astype(np.float32), r"float32 \[48, 80, 3\]", "of values from 0 to 1"),
        (lambda a: a.transpose(2, 0, 1), r"uint8 \[3, 48, 80\]", r"image\.transpose\(1, 2, 0\)"),
        (lambda a: a[..., 0], r"uint8 \[48, 80\]", "of gray make RGB"),
        (lambda a: a[..., :1], r"uint8 \[48, 80, 1\]", "of gray make RGB"),
        (lambda a: np.dstack([a, a[..., 0]]), r"uint8 \[48, 80, 4\]", r"image\[\.\.\., :3\]"),
        (lambda a: a[None], r"uint8 \[1, 48, 80, 3\]", "each picture of a batch"),
        (lambda a: a.astype(np.uint16), r"uint16 \[48, 80, 3\]", r"image / 257"),
        (lambda a: a[:0], r"uint8 \[0, 80, 3\]", "it is empty"),
        (lambda a: a.astype(int), r"int64 \[48, 80, 3\]", "$"),
        (lambda a: a > 0, r"bool \[48, 80, 3\]", "$"),
        (lambda a: a[..., :2], r"uint8 \[48, 80, 2\]", "$"),
        (lambda a: np.array(None), r"object \[\]", "$"),
    ],
)
def test_other_arrays_are_refused_with_what_to_do(
    make: Callable[[Any], Any], got: str, hint: str, image: NDArray[np.uint8]
) -> None:
    with pytest.raises(ValueError, match=rf"an RGB picture must be uint8 \[H, W, 3\], got {got}.*{hint}"):
        given_image(make(image))


def test_what_the_hints_say_works(image: NDArray[np.uint8]) -> None:
    gray = image[..., 0]
    np.testing.assert_array_equal(
        given_image(np.repeat(gray.reshape(*gray.shape[:2], 1), 3, axis=2)).picture.rgb()[..., 2], gray
    )
    np.testing.assert_array_equal(given_image((image / 255 * 255).round().astype(np.uint8)).picture.rgb(), image)


@pytest.mark.parametrize(
    ("given", "got"),
    [
        (None, "got None, which is what cv2.imread gives"),
        ([], "got a list; call it on each"),
        (("a.png", "b.png"), "got a tuple; call it on each"),
        (3, "got int"),
        ({}, "got dict"),
        (b"\xff\xd8", "got bytes; an encoded image is opened by PIL"),
        (memoryview(b"x"), "got memoryview; an encoded image"),
        (np.float32(1), r"got numpy.float32 of shape \[\]"),
        ("", "got an empty path"),
    ],
)
def test_what_is_no_image_is_named(given: object, got: str) -> None:
    with pytest.raises(
        UsageError, match=f"a model takes an RGB array, .* the path of an image file, .*{got}"
    ) as caught:
        given_image(given)
    assert "\n" not in str(caught.value)


def test_a_tensor_is_named() -> None:
    torch = pytest.importorskip("torch", reason="this is about its tensors")
    with pytest.raises(UsageError, match=r"got torch\.Tensor of shape \[3, 4, 5\]; make a NumPy array of it"):
        given_image(torch.zeros(3, 4, 5))


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pillow_images_without_a_white_are_refused(mode: str) -> None:
    with pytest.raises(ValueError, match=f"mode '{mode}' does not say which value is white"):
        given_image(Image.new(mode, (4, 4)))
    with pytest.raises(ValueError, match="the Pillow image is empty: 0x4"):
        given_image(Image.new("RGB", (0, 4)))


def test_paths_that_are_no_image(tmp_path: Path, image: NDArray[np.uint8]) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "no.jpg").write_text("no picture")
    (tmp_path / "notes.txt").write_text("no picture")
    first, second = Image.fromarray(image), Image.fromarray(image[::-1])
    for name in ("a.webp", "a.gif", "a.tiff", "a.png"):
        first.save(tmp_path / name, save_all=True, append_images=[second])
    wrong: list[tuple[str, type[VidgraphError], str]] = [
        ("none.png", SourceError, "no such file: .*none.png"),
        ("empty.png", SourceError, r"empty\.png is empty"),
        ("no.jpg", SourceError, r"cannot open .*no\.jpg"),
        ("", UsageError, r"is a folder; for its images: vidgraph\.run\('.*', model=model\)"),
        ("notes.txt", UsageError, r"notes\.txt is none; if it is a video: vidgraph\.run"),
        *((name, UsageError, r"holds several .*: vidgraph\.run\('.*', model=model\)")
          for name in ("a.webp", "a.gif", "a.tiff", "a.png")),
    ]  # fmt: skip
    for name, kind, message in wrong:
        for path in (tmp_path / name, str(tmp_path / name)):
            with pytest.raises(kind, match=message) as caught:
                given_image(path)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["https://me:secret@host/a.png?token=secret", "rtsp://host/1", "synth:street"])
def test_addresses_are_for_run(address: str) -> None:
    with pytest.raises(UsageError, match=r"is an address; for it: vidgraph\.run") as caught:
        given_image(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["photo", "photo.jpeg", "photo.gif", "photo.dat"])
def test_an_image_of_any_name_is_read(tmp_path: Path, image: NDArray[np.uint8], name: str) -> None:
    kind = {".jpeg": "JPEG", ".gif": "GIF"}.get(Path(name).suffix, "PNG")
    Image.fromarray(image).save(tmp_path / name, format=kind)
    found = given_image(os.fspath(tmp_path / name))
    assert found.file == name
    assert np.median(np.abs(found.picture.rgb().astype(int) - image)) <= 3


def test_a_damaged_file_is_used_as_far_as_it_goes_and_a_pillow_image_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.jpg")
    data = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    assert given_image(tmp_path / "cut.jpg").damaged
    with Image.open(tmp_path / "cut.jpg") as opened, pytest.raises(SourceError, match=r"cut\.jpg is damaged"):
        given_image(opened)
