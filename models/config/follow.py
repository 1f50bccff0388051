"""Looks after a file of cameras, and has what it says applied when it changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ...pipeline.errors import ConfigError, MissingExtraError, VidgraphError
from .camera_set import CameraSet
from .read import LARGEST, checked_text

log = logging.getLogger("vidgraph")

SETTLE_S = 0.3
"""A file is read when it has been the same for so long: an editor may be in the middle of writing it."""
LOOK_MS = 500
LEAVE_S = 2.0


class Follower:
    """A thread that applies a file of cameras whenever its text has changed, however the editor writes it.

    The folder is watched, because many editors put a new file in the place of the old one. A file with mistakes, or
    none at all, changes nothing; it is said once.

    Args:
        cameras: as they are at work, with the file and the text that it had.
        apply: is given what it says.

    Raises:
        MissingExtraError: watchfiles is not installed.
    """

    def __init__(self, cameras: CameraSet, apply: Callable[[CameraSet], None]) -> None:
        try:
            import watchfiles
        except ModuleNotFoundError as error:
            raise MissingExtraError("following a file of cameras", "config") from error
        self._watch = watchfiles.watch
        self._file, self._apply = cameras.file, apply
        self._text: bytes | None = cameras.text
        self._classes = cameras.classes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"vidgraph follow {self._file.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look after it no more."""
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(LEAVE_S)

    def _follow(self) -> None:
        try:
            self._look_for_changes()
        except Exception as error:
            log.error("%s is followed no more: %s", self._file, error)

    def _look_for_changes(self) -> None:
        """At each change in the folder, and now and then in any case: not every file system tells of changes."""
        changes = self._watch(
            self._file.absolute().parent,
            recursive=False,
            stop_event=self._stop,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            debounce=LOOK_MS,
            watch_filter=None,
        )
        for _ in changes:
            if self._stop.is_set():
                return
            self._look()

    def _look(self) -> None:
        text = self._read()
        while text != self._text and not self._stop.wait(SETTLE_S):
            before, text = text, self._read()
            if text == before:
                self._text = text
                self._changed(text)
                return

    def _read(self) -> bytes | None:
        """What is in the file; None where there is none."""
        try:
            with self._file.open("rb") as opened:
                return opened.read(LARGEST + 1)
        except OSError:
            return None

    def _changed(self, text: bytes | None) -> None:
        if text is None:
            log.warning("%s is gone; the cameras go on as they are", self._file)
            return
        try:
            cameras = checked_text(self._file, text, self._classes)
        except ConfigError as error:
            log.error("%s has mistakes; the cameras go on as they are", self._file)
            for mistake in error.mistakes:
                log.error("%s", mistake)
            return
        self._classes = cameras.classes
        try:
            self._apply(cameras)
            log.info("%s was read again", self._file)
        except VidgraphError as error:
            log.error("%s cannot be applied: %s", self._file, error)
