"""Pictures that announce more than they are: refused before memory is asked for, with the option that allows them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from vidgraph.pipeline.errors import SourceError, UsageError
from vidgraph.pipeline.limits import MAX_PIXELS
from vidgraph.stages.sources.image_bytes import announced_size, without_packed_notes
from vidgraph.stages.sources.images import read_image
from vidgraph.stages.sources.registry import open_source

from ...bounds import peak_mib
from ...conftest import Command
from ...material import make_clip

SIZE = (24, 40)  # height, width
IMAGES = ("png", "jpg", "webp", "bmp", "gif", "tiff", "ppm")


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(path: Path, side: int, *extra: bytes) -> Path:
    """A black PNG of ``side`` x ``side``, with further chunks before its pixels."""
    packer, row = zlib.compressobj(9), bytes(1 + 3 * side)
    pixels = b"".join([packer.compress(row) for _ in range(side)]) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
    return path


def image(path: Path) -> Path:
    Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(path)
    return path


def frames(path: Path, max_pixels: int = MAX_PIXELS) -> int:
    (source,) = open_source(path, max_pixels=max_pixels)
    source.open()
    try:
        return sum(1 for _ in source.frames())
    finally:
        source.close()


@pytest.mark.parametrize("suffix", IMAGES)
def test_images_beyond_the_limit(tmp_path: Path, suffix: str) -> None:
    path = image(tmp_path / f"a.{suffix}")
    pixels = SIZE[0] * SIZE[1]
    assert frames(path, pixels) == 1
    for action in (frames, lambda path, most: read_image(path, max_pixels=most)):
        with pytest.raises(
            SourceError, match=rf"a.{suffix} is 40x24, which is larger than {pixels - 1} pixels"
        ) as caught:
            action(path, pixels - 1)
        assert "--max-pixels N (max_pixels=N" in str(caught.value)


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.ts", "in.avi", "in.gif"])
def test_videos_beyond_the_limit(tmp_path: Path, name: str) -> None:
    codec = {"in.avi": "mjpeg", "in.gif": "gif"}.get(name, "libx264")
    import av

    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = {"mjpeg": "yuvj420p", "gif": "rgb8"}.get(codec, "yuv420p")
        noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
        for _ in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))
    assert frames(path, 64 * 48) == 30
    with pytest.raises(SourceError, match=rf"{name} is 64x48, which is larger than 3000 pixels"):
        frames(path, 3000)


def test_a_limit_that_is_none(tmp_path: Path) -> None:
    for path in (image(tmp_path / "a.png"), make_clip(tmp_path / "in.mp4", 2)):
        with pytest.raises(UsageError, match="max_pixels must be a whole number from 1"):
            open_source(path, max_pixels=0)


def test_a_small_file_of_many_pixels_takes_no_memory(tmp_path: Path, command: Command, face_weights: Path) -> None:
    path = png(tmp_path / "big.png", 16_000)
    words = ("run", path, "--model", f"retinaface={face_weights}", "-o", "out.jsonl")
    code, said, peak = peak_mib(tmp_path, command.environment, *words)
    assert (code, said.count("\n")) == (1, 0)
    assert "big.png is 16000x16000, which is larger than 67108864 pixels" in said
    assert peak < 500


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP"])
def test_notes_of_a_png_are_not_unpacked(tmp_path: Path, command: Command, face_weights: Path, name: bytes) -> None:
    packed = zlib.compress(bytes(1 << 28), 9)
    path = png(tmp_path / "a.png", 64, chunk(name, b"note\0\0" + packed))
    words = ("run", path, "--model", f"retinaface={face_weights}", "--size", "160", "-o", "out.jsonl", "-q")
    code, said, peak = peak_mib(tmp_path, command.environment, *words)
    assert (code, said) == (0, "")
    assert peak < 500


def test_short_notes_stay(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", 8, chunk(b"zTXt", b"note\0\0" + zlib.compress(b"short")))
    assert without_packed_notes(path.read_bytes()) == path.read_bytes()
    long = png(tmp_path / "b.png", 8, chunk(b"zTXt", bytes(100_000)), chunk(b"eXIf", b"kept"))
    assert without_packed_notes(long.read_bytes()) == png(tmp_path / "c.png", 8, chunk(b"eXIf", b"kept")).read_bytes()


@pytest.mark.parametrize("suffix", IMAGES[:-1])
def test_sizes_as_heads_say_them(tmp_path: Path, suffix: str) -> None:
    data = image(tmp_path / f"a.{suffix}").read_bytes()
    assert announced_size(data) == SIZE
    for end in range(min(len(data), 60)):
        assert announced_size(data[:end]) in (None, SIZE)


def test_lossless_webp(tmp_path: Path) -> None:
    Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(tmp_path / "a.webp", lossless=True)
    assert announced_size((tmp_path / "a.webp").read_bytes()) == SIZE


def test_the_option_of_the_command_line(tmp_path: Path, vidgraph: Callable[..., object], face_weights: Path) -> None:
    image(tmp_path / "a.png")
    words = (
        "run",
        "a.png",
        "--model",
        f"retinaface={face_weights}",
        "--size",
        "160",
        "-o",
        "out.jsonl",
        "--max-pixels",
    )
    assert vidgraph(*words, 959).line.startswith("a.png is 40x24, which is larger than 959 pixels")  # type: ignore[attr-defined]
    assert vidgraph(*words, 960).code == 0  # type: ignore[attr-defined]
