"""The way of one stream to its server: a short queue, and a thread that encodes, sends and connects again."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import replace
from fractions import Fraction

from av.error import FFmpegError, InvalidDataError

from ...kernels.device import DeviceFailure
from ...pipeline.errors import OutputError
from ...pipeline.packet import Frame
from ...pipeline.types.picture import Picture
from ..sources.camera.address import CameraAddress
from ..sources.camera.backoff import Backoff
from ..sources.camera.reasons import REASONS, Reason, reason_of
from ..sources.camera.status import CameraStatus, Monitor
from .publish_connection import PublishConnection
from .video_file import frame_time

WAITING = 8
"""Pictures that wait for the encoder; of a live stream the oldest gives way to the newest."""
STUCK_S = 5.0
"""A server that takes nothing for so long is given up."""
_LONGEST_GAP_S = 10  # a file whose time jumps further is not waited for
_LEAVE_S = 2.0
_NO_RECORD = Reason(
    "no_record", "the server does not take it: the path or the password is wrong, or it accepts no RECORD", "steady"
)
_SETTLE_S = 0.5  # servers hold packets back for their order, and would lose those of the end
_PASSWORD_AGAIN_S = 600.0


class Feed:
    """Publishes the pictures of one stream; ``dropped`` counts those that were left out.

    A live stream never waits: pictures that the server, the network or the encoder have no time for are left out and
    counted, and a lost connection is made again, for ever. Every picture of a file is sent, at its time; a lost
    connection is an error there.

    Args:
        name: of the stream.
        address: where to.
        live: frames come in real time, and must not be held up.
        preset: of x264.
    """

    def __init__(self, name: str, address: CameraAddress, *, live: bool, preset: str) -> None:
        self.shown = address.shown
        self.dropped: Counter[str] = Counter()
        self.live, self._address, self._preset = live, address, preset
        self._monitor = Monitor(f"{name} -> {address.shown}", address.shown)
        self._backoff = Backoff()
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Frame, Picture]] = deque()
        self._ending = self._hurry = False
        self._error: BaseException | None = None
        self._was_up = False
        self._worker = _Worker(self)

    @property
    def status(self) -> CameraStatus:
        """The connection now: state, reason, how often it was made again; for any thread."""
        return self._monitor.status

    def put(self, frame: Frame, picture: Picture) -> None:
        """Publish a picture. Waits for room in a file's queue only.

        Raises:
            OutputError: the connection of a file is lost.
        """
        self._worker.end_if_stuck()
        with self._changed:
            while not self.live and len(self._waiting) >= WAITING and self._error is None:
                self._changed.wait(STUCK_S)
                self._worker.end_if_stuck()
            if self._error is not None:
                raise self._failed(self._error) from self._error
            if len(self._waiting) >= WAITING:
                self._waiting.popleft()
                self.left_out("slow" if self._worker.is_up else "not_connected")
            self._waiting.append((frame, picture))
            self._changed.notify_all()

    def end(self, *, at_once: bool) -> None:
        """Send what waits, unless ``at_once``, take leave of the server, and end the thread.

        Raises:
            OutputError: the connection of a file is lost.
        """
        with self._changed:
            if at_once or self.live:
                self._waiting.clear()
            self._ending, self._hurry = True, at_once
            self._changed.notify_all()
        if at_once or self.live:
            self._worker.join(_LEAVE_S)
            self._worker.kill()
        while self._worker.is_alive():
            self._worker.join(_LEAVE_S)
            self._worker.end_if_stuck()
        if self._error is not None and not at_once:
            raise self._failed(self._error) from self._error

    def left_out(self, cause: str) -> None:
        """A picture of a live stream is not published: ``slow``, or ``not_connected``."""
        self.dropped[cause] += 1
        if cause == "slow":
            self._monitor.say("slow", f"{self.dropped[cause]} pictures left out so far: the server, the network or the"
                              " encoder is slow")  # fmt: skip

    def take(self) -> tuple[Frame, Picture] | None:
        """The next picture; None where there are no more."""
        with self._changed:
            while not self._waiting:
                if self._ending or self._error is not None:
                    return None
                self._changed.wait()
            taken = self._waiting.popleft()
            self._changed.notify_all()
            return taken

    def wait_s(self, seconds: float) -> None:
        """Wait, unless it is to end at once."""
        with self._changed:
            self._changed.wait_for(lambda: self._hurry, seconds)

    def connect(self, frame: Frame, picture: Picture) -> PublishConnection:
        """A new connection, whose stream begins with this frame."""
        self._monitor.connecting()
        return PublishConnection(self._address, frame, picture, preset=self._preset)

    def came_up(self) -> None:
        """The server takes the video."""
        self._backoff.worked()
        self._monitor.up()

    def lost(self, error: DeviceFailure | FFmpegError | OSError, *, was_up: bool) -> float:
        """A connection was lost or not made; the seconds until another is tried. A file's stream has failed."""
        if not self.live:
            with self._changed:
                self._error, self._was_up = self._error or error, was_up
                self._waiting.clear()
                self._changed.notify_all()
            return 0.0
        if self._ending:
            return 0.0
        if was_up:
            self._backoff.lost()
        reason = _reason(error, was_up=was_up)
        delay_s = self._backoff.delay_s(reason)
        delay_s = _PASSWORD_AGAIN_S if delay_s is None else delay_s
        self._monitor.failed(replace(reason, hint=""), "", delay_s, was_up=was_up)
        return delay_s

    def _failed(self, error: BaseException) -> OutputError:
        return OutputError(f"cannot publish to {self.shown}: {_reason(error, was_up=self._was_up).text}")


def _reason(error: BaseException, *, was_up: bool) -> Reason:
    if isinstance(error, DeviceFailure):
        return replace(REASONS["lost"], text=str(error))
    if isinstance(error, InvalidDataError) and not was_up:  # FFmpeg's word for answers that it does not expect
        return _NO_RECORD
    return reason_of(error, opening=not was_up)


class _Worker(threading.Thread):
    """Encodes and sends what waits."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(name=f"vidgraph publish {feed.shown}", daemon=True)
        self._feed = feed
        self._connection: PublishConnection | None = None
        self.is_up = self._stuck = False
        self._sending_since: float | None = None
        self._again_at = 0.0
        self._pace = _Pace()
        self.start()

    def end_if_stuck(self) -> None:
        """End a connection that takes nothing; for any thread."""
        since, connection = self._sending_since, self._connection
        if self.is_up and connection is not None and since is not None and time.monotonic() - since > STUCK_S:
            self._stuck = True
            connection.kill()

    def kill(self) -> None:
        """End the connection, whatever it waits for; for any thread."""
        connection = self._connection
        if connection is not None:
            connection.kill()

    def run(self) -> None:
        while (taken := self._feed.take()) is not None:
            frame, picture = taken
            if not self._feed.live:
                self._feed.wait_s(self._pace.wait_s(frame))
            self._sending_since = time.monotonic()
            self._publish(frame, picture)
            self._sending_since = None
            del taken, frame, picture  # nothing of a frame is kept while waiting for the next
        if self.is_up and not self._feed.live:
            self._feed.wait_s(_SETTLE_S)
        self._close()

    def _publish(self, frame: Frame, picture: Picture) -> None:
        if time.monotonic() < self._again_at:
            self._feed.left_out("not_connected")
            return
        try:
            if self._connection is not None and not self._connection.fits(frame, picture):
                self._close()
            if self._connection is None:
                self._connection = self._feed.connect(frame, picture)
            self._connection.send(frame, picture)
            if not self.is_up:
                self.is_up = True
                self._feed.came_up()
                self._pace.begin(frame)
        except (DeviceFailure, FFmpegError, OSError) as error:
            was_up, stuck = self.is_up, self._stuck
            self._close()
            lost = TimeoutError("the server takes nothing") if stuck else error
            self._again_at = time.monotonic() + self._feed.lost(lost, was_up=was_up)
            self._feed.left_out("not_connected")

    def _close(self) -> None:
        connection, self._connection, self.is_up, self._stuck = self._connection, None, False, False
        if connection is not None:
            connection.close()


class _Pace:
    """When the frames of a file are due."""

    def __init__(self) -> None:
        self._zero_s = 0.0  # when time 0 of the stream is, on the monotonic clock
        self._last: Fraction | None = None

    def begin(self, frame: Frame) -> None:
        """The others count from this frame, which is due now."""
        self._last = frame_time(frame)
        self._zero_s = time.monotonic() - float(self._last)

    def wait_s(self, frame: Frame) -> float:
        """Seconds until a frame is due; those that are late are due at once."""
        time_s = frame_time(frame)
        if self._last is None or not 0 <= time_s - self._last <= _LONGEST_GAP_S:
            self.begin(frame)
        self._last = time_s
        return max(0.0, self._zero_s + float(time_s) - time.monotonic())
