"""Small test clips, made with PyAV when a test needs them.

Every picture carries its frame number as ten luma blocks along its top edge (:func:`read_number`)
and six flat colour patches below (:data:`PATCHES`, :func:`patch_means`). Clips are coded without
loss unless ``options`` say otherwise, so that a test can ask for exact values.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from vidgraph.testing.ordinary_priority import ordinary_priority

BITS = 10
PATCHES = np.array(
    [[235, 30, 30], [30, 200, 40], [40, 60, 220], [230, 220, 40], [128, 128, 128], [200, 60, 180]], np.uint8
)
"""uint8 [6, 3], the RGB colours of the patches, left to right."""

WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
SPACES = {"bt601": Colorspace.ITU601, "bt709": Colorspace.ITU709, "bt2020": Colorspace.BT2020}
LOSSLESS = {"qp": "0", "preset": "ultrafast"}


def picture_rgb(number: int, size: tuple[int, int] = (64, 96)) -> NDArray[np.uint8]:
    """The picture of one frame, uint8 [H, W, 3]; ``size`` is (height, width)."""
    height, width = size
    rgb = np.zeros((height, width, 3), np.uint8)
    strip = height // 4
    for bit in range(BITS):
        rgb[:strip, bit * width // BITS : (bit + 1) * width // BITS] = 255 * (number >> bit & 1)
    for index, color in enumerate(PATCHES):
        rgb[strip:, index * width // 6 : (index + 1) * width // 6] = color
    return rgb


def read_number(rgb: NDArray[np.uint8]) -> int:
    """The frame number in a picture, uint8 [H, W, 3], that is the right way up."""
    height, width = rgb.shape[:2]
    row = rgb[height // 8, :, 1]
    return sum(1 << bit for bit in range(BITS) if row[(2 * bit + 1) * width // (2 * BITS)] > 127)


def patch_means(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean colour in the middle of each patch, float64 [6, 3]."""
    height, width = rgb.shape[:2]
    means = []
    for index in range(6):
        x1, x2 = index * width // 6, (index + 1) * width // 6
        inner = rgb[height // 2 : height - height // 8, x1 + (x2 - x1) // 4 : x2 - (x2 - x1) // 4]
        means.append(inner.reshape(-1, 3).mean(axis=0))
    return np.array(means)


def to_yuv(
    rgb: NDArray[np.uint8], *, matrix: str = "bt601", full_range: bool = False, bits: int = 8
) -> NDArray[np.float64]:
    """Y, U, V of an RGB picture by the definition, float64 [3, H, W] in code values of ``bits``.

    Source: ITU-R BT.601-7 section 2.5, BT.709-6 section 3, BT.2020-2 table 4.
    """
    kr, kb = WEIGHTS[matrix]
    red, green, blue = (rgb[..., c] / 255.0 for c in range(3))
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = np.stack([(blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)])
    scale = 2.0 ** (bits - 8)
    if full_range:
        top = 2.0**bits - 1
        return np.concatenate([luma[None] * top, chroma * top + 128 * scale])
    return np.concatenate([(16 + 219 * luma[None]) * scale, (128 + 224 * chroma) * scale])


def video_frame(
    rgb: NDArray[np.uint8], pix_fmt: str, *, matrix: str = "bt601", full_range: bool = False
) -> av.VideoFrame:
    """An FFmpeg frame of ``rgb``, converted here by the definition where ``pix_fmt`` is planar YUV or gray."""
    height, width = rgb.shape[:2]
    form = av.VideoFormat(pix_fmt, width, height)
    planar_yuv = form.is_planar and not form.is_rgb and len({c.plane for c in form.components}) == len(form.components)
    if not planar_yuv and not pix_fmt.startswith("gray"):
        source = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        return source.reformat(format=pix_fmt, src_color_range=ColorRange.JPEG)
    bits = form.components[0].bits
    planes = np.rint(to_yuv(rgb, matrix=matrix, full_range=full_range, bits=bits))
    frame = av.VideoFrame(width, height, pix_fmt)
    for index, plane in enumerate(frame.planes):
        step_y, step_x = -(-height // plane.height), -(-width // plane.width)
        values = planes[index] if index < 3 else np.full((height, width), 255.0)
        dtype = np.dtype(np.uint8 if bits == 8 else "<u2")
        memory = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)  # type: ignore[arg-type]
        memory[:, : plane.width] = values[::step_y, ::step_x].astype(dtype)
    return frame


def make_clip(
    path: Path,
    *,
    frames: int = 10,
    rate: Fraction | int = 25,
    size: tuple[int, int] = (64, 96),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    matrix: str | None = None,
    full_range: bool | None = None,
    times: Sequence[float] | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    interlaced: bool = False,
    sample_aspect: Fraction | None = None,
    gop: int = 5,
    b_frames: int = 0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    audio: bool = False,
    first: int = 0,
) -> Path:
    """Write a clip whose pictures carry the numbers ``first``, ``first + 1``, …

    Args:
        path: where to; the suffix chooses the container.
        rate: frames per second.
        size: (height, width).
        matrix: ``bt601``, ``bt709``, ``bt2020``: converted with it and marked so; None: bt601, not marked.
        full_range: converted so and marked; None: limited, not marked.
        times: presentation time of each frame in seconds (variable frame rate); None: constant ``rate``.
        rotation: degrees clockwise that a player has to turn the pictures.
        mirrored: a player has to mirror the pictures left to right before it turns them.
        gop: frames from one key frame to the next.
        options: of the encoder; lossless x264 if None.
        container_options: of the container, such as ``movflags``.
        audio: also a tone of the same length.

    Returns:
        ``path``.
    """
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.height, stream.width = size
        stream.pix_fmt = pix_fmt
        context = stream.codec_context
        context.gop_size, context.max_b_frames = gop, b_frames
        context.options = {**(LOSSLESS if options is None and codec == "libx264" else options or {})}
        context.thread_count = 1
        if matrix is not None:
            context.colorspace = SPACES[matrix]
        if full_range is not None:
            context.color_range = ColorRange.JPEG if full_range else ColorRange.MPEG
        if sample_aspect is not None:
            context.sample_aspect_ratio = sample_aspect
        if interlaced:
            context.options["x264-params"] = "interlaced=1"
        if rotation or mirrored:
            stream.set_display_matrix(_display_matrix(rotation, mirrored))
        # MPEG knows no finer ticks than its few rates, or than a 65536th of a second
        ticks = 1 / Fraction(rate) if codec in ("mpeg2video", "mpeg4") else Fraction(1, 90_000)
        context.time_base = ticks
        tone = _add_tone(container) if audio else None
        for index in range(frames):
            rgb = picture_rgb(first + index, size)
            frame = video_frame(rgb, pix_fmt, matrix=matrix or "bt601", full_range=bool(full_range))
            if matrix is not None:
                frame.colorspace = SPACES[matrix]
            if full_range is not None:
                frame.color_range = ColorRange.JPEG if full_range else ColorRange.MPEG
            seconds = index / Fraction(rate) if times is None else Fraction(times[index])
            frame.pts, frame.time_base = round(seconds / ticks), ticks
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            _write_tone(container, tone, frames / float(rate))
    return path


def _display_matrix(rotation: int, mirrored: bool) -> list[int]:
    """Mirror left to right, then turn clockwise by ``rotation``, as FFmpeg's display matrix."""
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[rotation]
    flip, one = -1 if mirrored else 1, 1 << 16
    return [flip * cosine * one, flip * sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30]


def _add_tone(container: OutputContainer) -> Any:
    stream = container.add_stream("aac", rate=8000)
    stream.codec_context.layout = "mono"
    return stream


def _write_tone(container: OutputContainer, stream: Any, seconds: float) -> None:
    count = 1024
    for start in range(0, max(count, int(seconds * 8000)), count):
        wave = np.sin(np.arange(start, start + count) * (2 * np.pi * 440 / 8000)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


@contextmanager
def as_before() -> Iterator[None]:
    """Around an encoder: SVT-AV1 would have its threads run before all others, and would print its settings."""
    os.environ["SVT_LOG"] = "0"  # errors only; the library has no other switch
    with ordinary_priority():
        yield


def make_audio(path: Path, *, seconds: float = 1.0) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        _write_tone(container, _add_tone(container), seconds)
    return path


def make_multi_stream(path: Path, sizes: Sequence[tuple[int, int]], *, frames: int = 5) -> Path:
    """Several video streams of different sizes; the pictures of stream k carry the numbers 100 k, 100 k + 1, …"""
    with av.open(str(path), "w") as container:
        streams = []
        for height, width in sizes:
            stream = container.add_stream("libx264", rate=25)
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            stream.codec_context.options = dict(LOSSLESS)
            streams.append(stream)
        for index in range(frames):
            for which, stream in enumerate(streams):
                frame = video_frame(picture_rgb(100 * which + index, sizes[which]), "yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def make_cover_art(path: Path) -> Path:
    """Sound with an attached picture, as music files have it: no video."""
    with av.open(str(path), "w") as container:
        tone = _add_tone(container)
        cover = container.add_stream("mjpeg", rate=25)
        cover.height, cover.width, cover.pix_fmt = 64, 96, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(video_frame(picture_rgb(0), "yuvj420p", full_range=True)))
        container.mux(cover.encode(None))
        _write_tone(container, tone, 0.5)
    return path


def packet_places(path: Path) -> list[tuple[int, int]]:
    """(position, size) in bytes of every video packet, in file order."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        assert stream is not None
        return [(p.pos, p.size) for p in container.demux(stream) if p.size and p.pos is not None]


def damage(
    path: Path, target: Path, *, packets: Sequence[int] | None = None, share: float = 0.1, seed: int = 0
) -> Path:
    """A copy of a clip with broken packets; the container stays whole.

    Args:
        packets: numbers of the packets (may be negative) whose payload is zeroed: no picture comes of them.
            None: a ``share`` of all packets but the first gets random bytes in its second half.
    """
    data, places = bytearray(path.read_bytes()), packet_places(path)
    source = random.Random(seed)
    for number in packets or ():
        start, size = places[number]
        data[start + 4 : start + size] = bytes(size - 4)
    if packets is None:
        for start, size in places[1:]:
            if source.random() < share:
                data[start + size // 2 : start + size] = source.randbytes(size - size // 2)
    target.write_bytes(data)
    return target


def truncate(path: Path, target: Path, *, share: float) -> Path:
    """The first ``share`` of the bytes of a clip."""
    data = path.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


def make_changing_size(
    path: Path, *, sizes: Sequence[tuple[int, int]] = ((64, 96), (96, 128)), frames: int = 5
) -> Path:
    """A transport stream whose resolution changes; time and frame numbers go on."""
    parts, written = [], 0
    for number, size in enumerate(sizes):
        part = path.with_name(f"{path.stem}-part{number}.ts")
        times = [(written + index) / 25 for index in range(frames)]
        make_clip(part, frames=frames, size=size, times=times, first=written)
        parts.append(part.read_bytes())
        written += frames
    path.write_bytes(b"".join(parts))
    return path


def make_jumping_clock(path: Path, *, frames: int = 5) -> Path:
    """A transport stream whose clock starts again in the middle: two recordings joined end to end."""
    parts = []
    for number in range(2):
        part = path.with_name(f"{path.stem}-part{number}.ts")
        times = [2.0 * (1 - number) + index / 25 for index in range(frames)]
        parts.append(make_clip(part, frames=frames, times=times, first=number * frames).read_bytes())
    path.write_bytes(b"".join(parts))
    return path
