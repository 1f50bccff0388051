"""The annotated video in a window, where OpenCV with a graphical interface is installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...pipeline.errors import MissingExtraError, OutputError
from ...pipeline.packet import Key, Packet
from ...pipeline.stage import EndReason, Sink
from ...pipeline.types.picture import Picture
from ..drawing.draw import ANNOTATED
from .addresses import shown_picture
from .settings import SinkSettings

_CLOSING_KEYS = {ord("q"), 27}  # 27: Escape


class Window(Sink):
    """Shows each stream in a window of its own; ``q``, Escape or its button closes it, and the run goes on.

    Args:
        picture: the key of what to show; None: the frames as they came.
    """

    name = "window"

    def __init__(self, *, picture: Key[Picture] | None = ANNOTATED) -> None:
        self._key = picture
        self.reads: frozenset[Key[Any]] = frozenset() if picture is None else frozenset({picture})
        self._open: set[str] = set()
        self._closed: set[str] = set()

    def open(self) -> None:
        """Make sure that there can be windows.

        Raises:
            MissingExtraError: OpenCV is not installed, or has no graphical interface.
        """
        check_gui()

    def write(self, packet: Packet) -> None:
        """Show a frame; dropped ones are left out.

        Raises:
            OutputError: there is no display.
        """
        import cv2

        stream, picture = packet.frame.stream_id, shown_picture(packet, self._key)
        if picture is None or packet.drop_cause is not None or stream in self._closed:
            return
        title, rgb = f"vidgraph: {stream}", picture.rgb()
        try:
            if stream not in self._open:
                cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
                cv2.resizeWindow(title, min(1280, rgb.shape[1]), min(1280, rgb.shape[1]) * rgb.shape[0] // rgb.shape[1])
                self._open.add(stream)
            cv2.imshow(title, rgb[:, :, ::-1])
            key = cv2.waitKey(1) & 0xFF
            if key in _CLOSING_KEYS or cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1:
                self._leave(stream)
        except cv2.error as error:
            reason = str(error).strip().splitlines()[-1]
            raise OutputError(f"cannot show a window: {reason}; is there a display? Write a file instead") from error

    def _leave(self, stream: str) -> None:
        import cv2

        self._closed.add(stream)
        self._open.discard(stream)
        cv2.destroyWindow(f"vidgraph: {stream}")

    def end_stream(self, stream_id: str, reason: EndReason) -> None:
        if stream_id in self._open:
            self._leave(stream_id)
        self._closed.discard(stream_id)

    def close(self) -> None:
        for stream in list(self._open):
            self._leave(stream)


def check_gui() -> None:
    """Refuse to go on without an OpenCV that can open windows.

    Raises:
        MissingExtraError: OpenCV is not installed, or is a headless build.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("output 'window'", "opencv") from error
    interface = re.search(r"^\s*GUI:\s*(\S+)", cv2.getBuildInformation(), re.MULTILINE)
    if interface is None or interface[1] == "NONE":
        raise MissingExtraError("output 'window' (the installed OpenCV is headless)", "opencv")


def open_window(address: str, paths: dict[str, Path], settings: SinkSettings) -> Sink:
    """A window; see :class:`~.kinds.SinkKind`."""
    return Window(picture=settings.picture)
