"""A camera as a source of frames, which is connected again whenever it is lost."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av

from ....kernels.device import HOST
from ....pipeline.errors import SourceError, UsageError
from ....pipeline.packet import Frame
from ....pipeline.stage import Source
from ..av_card import CardDecoding, CardFault, CardReport, card_decoding, is_for_nvdec, sample_format
from ..av_picture import Orientation, PictureReader
from ..said import Said
from .address import CameraAddress, read_address
from .backoff import OPEN_GATE, Backoff
from .connection import OVER_TLS, Connection, Hints, Opener
from .decoding import Arrival
from .interrupt import Wait
from .options import CameraOptions
from .reasons import CameraError
from .status import CameraStatus, Monitor
from .timeline import Moment, Timeline

log = logging.getLogger("vidgraph")

LAG_S, LAG_FOR_S = 2.0, 10.0
"""A camera that is behind by so much, and does not catch up for so long, is connected again."""
ASLEEP_S = 30.0
OTHERS_FOR_S, OTHERS_TIMES, USUAL_FRAMES = 30.0, 1.3, 100
"""A rate so many times the usual one for so long, with stamps that go back, is more than one camera's. In a first
session the usual one is that of its first frames, so many."""
GAP_S = 0.5
"""A step between two frames of a list of pieces (HLS), from which on a piece was missing."""
SAME_AGE_S, _SAME_AGE_TIMES = 1.0, 3
_NANOSECOND = Fraction(1, 1_000_000_000)


class CameraSource(Source):
    """The newest frames of a camera, for as long as it takes.

    ``open`` checks the address only; the connection is made on the thread that iterates ``frames``, so that a camera
    that is off delays no other. When it is lost, by an error, an end or silence, it is connected again: at once at
    first, then after up to 5 s, and more slowly where trying often does harm (a wrong password). No frame is made up
    meanwhile, and ``epoch`` goes up. So it is when the card that decodes it fails; the next connection is then
    decoded by the CPU, unless the card was asked for.

    Time: ``pts_ns`` is the stream's own, strictly rising over reconnections; ``capture_ns`` is by the camera's clock
    where it tells it (RTCP sender reports) and is right within a day, otherwise by ours when the frame came:
    ``capture_clock`` says which.
    """

    live = True

    def __init__(
        self,
        address: str | CameraAddress,
        *,
        stream_id: str | None = None,
        frames: int | None = None,
        options: CameraOptions | None = None,
        by_arrival: bool = False,
        is_over: Callable[[], bool] | None = None,
        opener: Opener = av.open,
    ) -> None:
        """
        Args:
            address: ``rtsp://…`` and other addresses of networks, or ``/dev/video0``; ``${NAME}`` in it stands for a
                variable of the environment.
            stream_id: name of the stream; None: the host, or the name of the device.
            frames: deliver at most so many.
            options: how it is read; None: as the defaults say.
            by_arrival: its stamps are not those of a clock, as those of HTTP MJPEG.
            is_over: says, where the server has closed the connection, whether the stream has ended for good.
            opener: what opens it in place of ``av.open``.

        Raises:
            UsageError: the address cannot be one, or a variable is not set.
        """
        self._place = read_address(address) if isinstance(address, str) else address
        if frames is not None and frames < 1:
            raise UsageError(f"frames must be at least 1, got {frames}")
        self.stream_id = stream_id or self._place.host or self._place.url.rpartition("/")[2] or self._place.scheme
        self.address: str = self._place.shown
        self._limit, self._options, self._opener = frames, options or CameraOptions(), opener
        self._is_over, self._by_arrival = is_over, by_arrival
        turned = self._options.rotate or self._options.mirror
        self._orientation = Orientation(self._options.rotate, self._options.mirror) if turned else None
        self._wait, self._hints = Wait(), Hints()
        self._said = Said(self.address)
        self._report = CardReport(self._said)
        self._begin()

    def _begin(self) -> None:
        """Forget what was, but for what it has taught about the camera."""
        self._wait.clear()
        self._backoff, self._timeline = Backoff(), Timeline(by_arrival=self._by_arrival)
        self._monitor = Monitor(self.stream_id, self.address)
        self._problems: Counter[str] = Counter()
        self._connection: Connection | None = None
        self._index = self._epoch = 0
        self._jumped = False  # at a frame that was left out
        self._card_failed = False  # at the last connection
        self._before_ns = 0
        self._shape: tuple[int, int, str] | None = None
        self._ages: list[float] = []
        self._lost_before = self._b_frames = 0
        self._counted = 0.0, 0, 0  # when a count of frames and of bad stamps began, and these
        self._asleep_s = _asleep_s()

    @property
    def status(self) -> CameraStatus:
        """The camera now: state, reason, counts; for any thread."""
        return self._monitor.status

    @property
    def problems(self) -> dict[str, int]:
        """Cause -> how often: ``damaged`` pictures, ``bad_packets``, ``bad_pts``, ``lost_frames``, ``reconnect_…`` …"""
        counts = Counter(self._problems)
        if (connection := self._connection) is not None:
            counts.update(connection.decoding.problems)
        counts["lost_packets"] = self._monitor.status.lost_packets or 0
        counts["bad_pts"] = self._timeline.bad_pts
        return {cause: count for cause, count in counts.items() if count}

    @property
    def expected_frames(self) -> int | None:
        """The most that were asked for; None: no end."""
        return self._limit

    @property
    def decoder(self) -> str:
        """Where it is decoded, once its first frame has come."""
        return self._report.decoder

    def open(self) -> None:
        """Get ready; the camera is not asked yet.

        Raises:
            SourceError: it cannot be decoded on a card, as was asked for.
        """
        self._begin()
        with suppress(CardFault):  # the card is asked again for each connection
            self._decoding()
        if self._place.scheme in OVER_TLS and self._options.tls_pin is None:
            self._monitor.say("tls", "its certificate is not checked: anyone on the way could be the camera")
        if self._place.user and self._place.password in ("", "admin", self._place.user):
            self._monitor.say("password", "its password is one that everybody tries first")

    def _decoding(self) -> CardDecoding | None:
        """What is to decode the next connection; None: the CPU.

        Raises:
            CardFault: the card that was asked for cannot do it now.
            SourceError: it cannot at all.
        """
        failed, self._card_failed = self._card_failed, False
        if failed and self._options.decoder == "auto":
            self._said.say("decoded by the CPU until it is connected again, as the card has failed")
            return None
        return card_decoding(self._options.decoder, self._options.device or HOST, self._said)

    def interrupt(self) -> None:
        """End every wait, and the stream; safe from any thread."""
        self._wait.stop()

    def close(self) -> None:
        """Leave the camera in order."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._problems.update(connection.decoding.problems)
            connection.close()
        if self._wait.stopped():
            self._monitor.ended()

    def frames(self) -> Iterator[Frame]:
        """The frames of the camera, over all its connections, until it is interrupted.

        Raises:
            SourceError: it must not be tried again, or was away for longer than ``give_up_s``.
        """
        while not self._wait.stopped():
            was_up = False
            try:
                connection = self._connect()
                if connection is None:
                    return
                opened_s = connection.began_s
                for frame in self._read(connection):
                    was_up = True
                    yield frame
                    if self._index == self._limit:
                        return
                if self._wait.stopped():
                    return
                raise CameraError("lost")
            except CameraError as lost:
                self.close()
                if self._wait.stopped():
                    return
                self._card_failed = lost.reason.name == "card"
                if lost.reason.name == "closed" and self._is_over is not None and self._is_over():
                    self._monitor.ended()
                    return
                if was_up:
                    self._backoff.lost()
                    lost = self._explained(lost, time.monotonic() - opened_s)
                self._await_next_try(lost, was_up=was_up)
            finally:
                self.close()

    def _connect(self) -> Connection | None:
        """A connection that is open; None where it was stopped.

        Raises:
            CameraError: there is none.
        """
        self._monitor.connecting()
        try:
            card = self._decoding()
        except CardFault as error:
            raise CameraError("card", str(error)) from error
        used = None if self._hints.odd_size else card
        connection = Connection(self._place, self._options, self._hints, self._wait, self._monitor, used)
        with OPEN_GATE.enter(self._place.host, self._wait) as entered:
            if not entered:
                return None
            connection.open(self._opener)
        if used is not None and not is_for_nvdec(connection.stream.codec_context):
            connection.close()
            self._hints.odd_size = True
            return self._connect()
        self._report.begin(card)
        self._connection = connection
        self._asleep_s = _asleep_s()
        self._timeline.reconnect()
        self._counted = time.monotonic(), self._index, self._timeline.bad_pts
        return connection

    def _read(self, connection: Connection) -> Iterator[Frame]:
        """The frames of one connection.

        Raises:
            CameraError: it was lost.
        """
        context, deinterlace = connection.stream.codec_context, self._options.deinterlace == "auto"
        reader = PictureReader(context, deinterlace=deinterlace, said=self._said)
        relief = connection.decoding.relief
        first, lagging_since, least_lag_s = True, time.monotonic(), float("inf")
        self._lost_before = self._monitor.status.lost_packets or 0
        for arrival in connection.pictures():
            came_s = time.monotonic()
            moment = self._timeline.place(
                arrival.frame.pts,
                connection.time_base,
                arrival_ns=arrival.arrival_ns,
                wall_ns=arrival.wall_ns,
                realtime_ns=connection.realtime_ns,
            )
            if arrival.damaged and self._options.corrupt == "drop":
                self._jumped |= moment.new_epoch
                continue
            frame = self._frame(arrival, moment, reader, connection, first=first)
            if first:
                self._came_up(connection)
            first = False
            given_s = time.monotonic()
            relief.worked(given_s - came_s)
            yield frame
            now_s, lag_s = time.monotonic(), self._timeline.lag_ns / 1e9
            if lag_s <= LAG_S or lag_s < least_lag_s or now_s - given_s > LAG_S:  # the last: we were kept waiting
                lagging_since, least_lag_s = now_s, lag_s if lag_s > LAG_S else float("inf")
            elif now_s - lagging_since > LAG_FOR_S:
                raise CameraError("lag", f"{lag_s:.1f} s behind")
            relief.judge(lag_s)
            if (slept := self._slept()) is not None:
                raise slept
            self._check_others(now_s)

    def _check_others(self, now_s: float) -> None:
        """Raise CameraError where packets of another session come too: an old one of ours, which ends by itself."""
        since_s, index, bad_pts = self._counted
        few_bad = self._timeline.bad_pts <= USUAL_FRAMES / 10
        if self._hints.interval_s is None and self._index == USUAL_FRAMES and few_bad:
            self._hints.interval_s = self._monitor.interval_s()
        if now_s - since_s < OTHERS_FOR_S:
            return
        frames, bad = self._index - index, self._timeline.bad_pts - bad_pts
        self._counted = now_s, self._index, self._timeline.bad_pts
        usual = (now_s - since_s) / self._hints.interval_s if self._hints.interval_s else frames
        if frames > OTHERS_TIMES * usual and bad > frames / 10:
            raise CameraError("foreign_packets", f"{frames / usual:.1f} times the usual rate")

    def _frame(
        self, arrival: Arrival, moment: Moment, reader: PictureReader, connection: Connection, *, first: bool
    ) -> Frame:
        """The frame of a picture, counted."""
        decoded, new_epoch = arrival.frame, moment.new_epoch or self._jumped
        self._jumped = False
        self._report.look(connection.stream, decoded)
        shape = decoded.width, decoded.height, sample_format(decoded).name
        if self._index and (first or new_epoch or shape != self._shape):
            self._epoch += 1
        self._shape = shape
        if new_epoch:
            self._problems["time_jump"] += 1
            self._monitor.say("jump", "the camera's clock has jumped; tracks begin anew")
        try:
            picture = reader.read(decoded, orientation=self._orientation)
        except CardFault as error:
            raise CameraError("card", str(error)) from error
        frame = Frame(
            stream_id=self.stream_id,
            index=self._index,
            epoch=self._epoch,
            pts_ns=moment.pts_ns,
            duration_ns=0,
            picture=picture,
            pts=moment.pts_ns,
            time_base=_NANOSECOND,
            capture_ns=moment.capture_ns,
            capture_clock=moment.clock,
            damaged=arrival.damaged,
        )
        self._count_gap(moment.pts_ns - self._before_ns if self._index and not (first or new_epoch) else 0)
        self._before_ns = moment.pts_ns
        self._index += 1
        lost = connection.lost_packets
        self._monitor.frame(
            moment.pts_ns / 1e9,
            lost_packets=None if lost is None else self._lost_before + lost,
            epoch=self._epoch,
            size=(picture.height, picture.width),
            lag_s=round(self._timeline.lag_ns / 1e9, 3),
            decode_errors=sum(self._problems[cause] + count for cause, count in connection.decoding.problems.items()),
            capture_clock=moment.clock,
        )
        return frame

    def _count_gap(self, step_ns: int) -> None:
        """Count what is missing in a list of pieces (HLS) between two frames so far apart."""
        interval_s = self._monitor.interval_s()
        if self._is_over is None or not interval_s or step_ns < 1e9 * max(GAP_S, 3 * interval_s):
            return
        self._problems["lost_frames"] += round(step_ns / 1e9 / interval_s) - 1
        self._monitor.say("gap", f"{step_ns / 1e9 - interval_s:.1f} s of it are missing")

    def _came_up(self, connection: Connection) -> None:
        context = connection.stream.codec_context
        self._hints.known = True
        self._backoff.worked()
        late = int(context.has_b_frames)
        self._monitor.note(codec=context.name, has_b_frames=late)
        if late and late != self._b_frames:
            self._monitor.say("b-frames", f"B-frames: {late} frame{'s' * (late > 1)} of delay", logging.INFO)
        self._b_frames = late
        self._monitor.up()

    def _slept(self) -> CameraError | None:
        """That the machine has slept, where it has: the connection is dead then, whatever it looks like."""
        slept_s = _asleep_s() - self._asleep_s
        return CameraError("suspend", f"for {slept_s:.0f} s") if slept_s > ASLEEP_S else None

    def _explained(self, lost: CameraError, age_s: float) -> CameraError:
        """What was lost after ``age_s``, with what is known of the times before."""
        self._monitor.session_ended(age_s)
        self._hints.interval_s = self._monitor.interval_s() or self._hints.interval_s
        if (slept := self._slept()) is not None:
            return slept
        self._ages = [*self._ages[1 - _SAME_AGE_TIMES :], age_s] if lost.reason.name == "closed" else []
        same = len(self._ages) == _SAME_AGE_TIMES and max(self._ages) - min(self._ages) < SAME_AGE_S
        return CameraError("session_timeout", f"{age_s:.0f} s") if same and age_s > 2 * SAME_AGE_S else lost

    def _await_next_try(self, lost: CameraError, *, was_up: bool) -> None:
        delay_s = self._backoff.delay_s(lost.reason)
        give_up_s = self._options.give_up_s
        if give_up_s is not None and self._backoff.outage_s + (delay_s or 0.0) > give_up_s:
            delay_s = None
        if was_up:
            self._problems[f"reconnect_{lost.reason.name}"] += 1
        self._monitor.failed(lost.reason, lost.detail, delay_s, was_up=was_up, may_start=self._backoff.just_worked)
        if delay_s is None:
            more = f" ({lost.detail})" if lost.detail else ""
            hint = f"; {lost.reason.hint}" if lost.reason.hint else ""
            raise SourceError(f"camera {self.stream_id!r} ({self.address}): {lost.reason.text}{more}{hint}") from lost
        self._wait.sleep(delay_s)


def _asleep_s() -> float:
    """Seconds for which this machine has slept since it was started; 0 where that is not known."""
    boot: Any = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if boot is None else time.clock_gettime(boot) - time.clock_gettime(time.CLOCK_MONOTONIC)
