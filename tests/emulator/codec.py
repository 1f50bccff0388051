"""NVDEC and NVENC that are not there: FFmpeg's own codecs, with the frames between them on the emulated card.

Frames of the decoder lie as NVDEC's surfaces do: padded rows, and rows between luma and chroma that are no part of the
picture. The encoder is given what it would find at the one address that NVENC is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from vidgraph.kernels.cuda import driver
from vidgraph.kernels.device import Device, DeviceArray, to_device
from vidgraph.kernels.exchange import device_array, dlpack_capsule
from vidgraph.stages.sinks import card_frames, encoders, video_file
from vidgraph.stages.sources import av_card, av_picture
from vidgraph.stages.sources.av_decoder import Decoder
from vidgraph.stages.sources.camera.connection import Connection
from vidgraph.stages.sources.camera.decoding import Arrival

_PITCH, _ROWS = 512, 16  # multiples of which a surface is


class CardPlane:
    """A plane of a frame on a card, as PyAV has it."""

    def __init__(self, array: DeviceArray) -> None:
        self.array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, self.array.device.index)

    def __dlpack__(self, *, stream: int | None = None) -> Any:
        if stream is not None:
            raise NotImplementedError("Pass stream=None and synchronize before calling __dlpack__.")
        return dlpack_capsule(self.array)


class CardFrame:
    """A decoded frame whose samples lie on a card, and which is otherwise as it was; ``beyond`` are rows above and
    columns to the left of it that are not to be shown."""

    def __init__(
        self, real: VideoFrame, planes: tuple[CardPlane, ...], sw_format: VideoFormat, beyond: tuple[int, int]
    ) -> None:
        self.real, self.planes, self.sw_format = real, planes, sw_format
        self.height, self.width = real.height + beyond[0], real.width + beyond[1]
        self.format = SimpleNamespace(name="cuda", is_rgb=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def on_card(frame: VideoFrame, device: Device, beyond: tuple[int, int] = (0, 0)) -> Any:
    """``frame`` as NVDEC would have given it: in NV12, or P010 where it has more than 8 bits.

    Args:
        beyond: rows and columns that a stream says are not to be shown, at the top and at the left: even numbers.
    """
    deep = "10" in frame.format.name
    samples = frame.reformat(format="p010le" if deep else "nv12")
    planes = [np.from_dlpack(plane) for plane in samples.planes]
    for index, (rows, columns) in enumerate((beyond, (beyond[0] // 2, beyond[1] // 2))):
        around = [(rows, 0), (columns, 0), (0, 0)][: planes[index].ndim]
        planes[index] = np.pad(planes[index], around, constant_values=99)
    luma, chroma = _surface([planes[0], planes[1].reshape(len(planes[1]), -1)], device)
    chroma = replace(chroma, shape=planes[1].shape, strides=(chroma.strides[0], *planes[1].strides[1:]))
    return CardFrame(frame, (CardPlane(luma), CardPlane(chroma)), samples.format, beyond)


def _surface(planes: list[np.ndarray], device: Device) -> list[DeviceArray]:
    """Planes in one piece of memory, with rows and columns beyond them that hold something else."""
    rows = [-(-len(plane) // _ROWS) * _ROWS + _ROWS for plane in planes]
    pitch = -(-planes[0].shape[1] * planes[0].itemsize // _PITCH) * _PITCH
    piece = np.full((sum(rows), pitch), 77, np.uint8)
    first = 0
    for plane, height in zip(planes, rows, strict=True):
        piece[first : first + len(plane), : plane.shape[1] * plane.itemsize] = np.ascontiguousarray(plane).view(
            np.uint8
        )
        first += height
    there = to_device(piece, device)
    assert isinstance(there, DeviceArray)
    return [
        replace(
            there, owner=there, pointer=there.pointer + pitch * start, shape=plane.shape, dtype=plane.dtype,
            strides=(pitch, plane.itemsize),
        )
        for plane, start in zip(planes, (0, rows[0]), strict=True)
    ]  # fmt: skip


class CardEncoderFrame:
    """In place of PyAV's ``VideoFrame`` for the encoder: reads what NVENC would, at one address."""

    @staticmethod
    def from_dlpack(planes: tuple[Any, Any], *, format: str, cuda_context: Any) -> VideoFrame:
        luma, chroma = (device_array(Exported(capsule, cuda_context.device_id)) for capsule in planes)
        assert format == "nv12"
        step, (height, width) = luma.strides[0], luma.shape
        assert chroma.pointer == luma.pointer + step * height
        assert chroma.shape == (height // 2, width // 2, 2)
        whole = replace(luma, owner=(luma, chroma), shape=(height * 3 // 2, width), strides=(step, 1)).to_host()
        return VideoFrame.from_ndarray(np.ascontiguousarray(whole), format="nv12")


class Exported:
    """A capsule as what exports it."""

    def __init__(self, capsule: Any, index: int) -> None:
        self._capsule, self._index = capsule, index

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, self._index)

    def __dlpack__(self, *, stream: int | None = None) -> Any:
        if stream is not None:
            raise NotImplementedError
        return self._capsule


def plug_in(monkeypatch: pytest.MonkeyPatch, beyond: tuple[int, int] = (0, 0)) -> None:
    """The emulated card, which is plugged in already, decodes and encodes; ``beyond``: see :func:`on_card`."""
    software, received = Decoder._decode, Connection.pictures

    def decode(decoder: Decoder, packet: Any) -> Iterator[VideoFrame | CardFrame]:
        card = decoder._card
        for frame in software(decoder, packet):
            yield frame if card is None else on_card(frame, card.device, beyond)

    def pictures(connection: Connection) -> Iterator[Arrival]:
        card = connection._card
        for arrival in received(connection):
            yield arrival if card is None else replace(arrival, frame=on_card(arrival.frame, card.device, beyond))

    def tried(card: Device) -> None:
        driver.driver().stream(card)

    monkeypatch.setattr(Decoder, "_decode", decode)
    monkeypatch.setattr(Connection, "pictures", pictures)
    side_data: Any = av_picture.SideDataContainer  # type: ignore[attr-defined]
    monkeypatch.setattr(av_picture, "SideDataContainer", lambda frame: side_data(getattr(frame, "real", frame)))
    monkeypatch.setattr(av_card, "_tried", tried)
    x264 = encoders.ENCODERS["libx264"]
    row = replace(encoders.ENCODERS["h264_nvenc"], codec="libx264", options=x264.options)
    monkeypatch.setitem(encoders.ENCODERS, "h264_nvenc", row)
    for module in (card_frames, video_file):  # what x264 is told instead of "cuda"
        monkeypatch.setattr(module, "CARD_FORMAT", "nv12")
    monkeypatch.setattr(card_frames.CardFrames, "form", "nv12")
    monkeypatch.setattr(card_frames, "VideoFrame", CardEncoderFrame)
    monkeypatch.setattr(card_frames, "CudaContext", lambda index, **_: SimpleNamespace(device_id=index))
