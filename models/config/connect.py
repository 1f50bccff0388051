"""Opens each camera of a file for a moment, to say what comes from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from time import monotonic

from ...pipeline.errors import VidgraphError
from ...pipeline.stage import Source
from ...pipeline.types.picture import Picture
from ...stages.sources.camera.options import CameraOptions
from ...stages.sources.camera.status import CameraStatus
from ...stages.sources.registry import open_source
from .camera_set import CameraConfig, CameraSet

_HOW = ("transport", "freeze_s", "allow_redirect", "tls_pin", "deinterlace", "rotate", "mirror")
ANSWER_S = 15.0
"""A camera that has sent no picture for so long is said not to answer."""
RATE_S = 2.0
"""Frames are counted for so long after the first one."""
LEAVE_S = 3.0


def connect(cameras: CameraSet) -> Iterator[tuple[str, bool, str]]:
    """For each camera: its name, whether it sends pictures, and their size, rate and codec, or why there are none.

    All are opened at the same time; what comes first is given in the order of the file.
    """
    looks = [_Look(camera) for camera in cameras.cameras.values()]
    for look in looks:
        there, said = look.result()
        yield look.name, there, said


class _Look:
    """One camera, on a thread of its own."""

    def __init__(self, camera: CameraConfig) -> None:
        self.name, self._camera = camera.name, camera
        self._source: Source | None = None
        self._first: Picture | None = None
        self._error = ""
        self._until = monotonic() + ANSWER_S
        self._thread = threading.Thread(target=self._look, name=f"vidgraph look {camera.name}", daemon=True)
        self._thread.start()

    def _look(self) -> None:
        how = CameraOptions(**{key: self._camera.options[key] for key in _HOW if key in self._camera.options})
        try:
            (source,) = open_source(self._camera.address, stream_id=self.name, threads=1, camera=how)
            self._source = source
            try:
                source.open()
                self._read(source)
            finally:
                source.close()
        except VidgraphError as error:
            self._error = str(error)

    def _read(self, source: Source) -> None:
        until = None
        for frame in source.frames():
            self._first = self._first or frame.picture
            until = until or monotonic() + RATE_S
            if monotonic() >= until or not source.live:
                return

    def result(self) -> tuple[bool, str]:
        """Whether there are pictures, and what they are, or why there are none."""
        while self._thread.is_alive() and monotonic() < self._until + (RATE_S if self._first else 0.0):
            self._thread.join(0.05)
        source, picture = self._source, self._first
        status: CameraStatus | None = None if source is None else source.status
        if source is not None and self._thread.is_alive():
            source.interrupt()
            self._thread.join(LEAVE_S)
        if picture is None:
            reason = status.reason if status is not None else ""
            return False, self._error or f"no picture within {ANSWER_S:g} s{f': {reason}' if reason else ''}"
        said = [f"{picture.width}x{picture.height}", picture.format]
        if status is not None:
            said += [status.codec] if status.codec else []
            said += [f"{status.rate:.1f} fps"] if status.rate is not None else []
        return True, ", ".join(said)
