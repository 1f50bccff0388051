"""What a camera is told and what it has seen, which its connections share."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..clips import Clip
from .auth import Door
from .faults import Faults
from .messages import Message


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came: when (monotonic seconds), method, address, headers by lower-case name."""

    at_s: float
    method: str
    address: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a camera has seen.

    Attributes:
        connections: accepted so far.
        sessions: open now (SETUP until TEARDOWN or the end of the connection).
        most_sessions: open at one time.
        log_ins: DESCRIBE requests with the right password.
        refused_log_ins: requests with a wrong password.
        teardowns: sessions that ended with TEARDOWN.
        keep_alives: OPTIONS, GET_PARAMETER and SET_PARAMETER while pictures flow.
        timed_out: sessions that the camera ended since nothing kept them alive.
    """

    connections: int = 0
    sessions: int = 0
    most_sessions: int = 0
    log_ins: int = 0
    refused_log_ins: int = 0
    teardowns: int = 0
    keep_alives: int = 0
    timed_out: int = 0


class CameraState:
    """Changed by the camera's methods and by the threads of its connections."""

    def __init__(
        self,
        clips: Mapping[str, Clip],
        faults: Faults,
        door: Door,
        tls: ssl.SSLContext | None,
        transports: Collection[str],
        session_timeout_s: float | None,
    ) -> None:
        self.clips, self.faults, self.door, self.tls = dict(clips), faults, door, tls
        self.transports, self.session_timeout_s = transports, session_timeout_s
        self.requests: list[Request] = []
        self.counts = Counts()
        self.jumped_s = 0.0
        self.stalled = False
        self.thawed = threading.Event()
        self.thawed.set()
        self.changed = threading.Condition()
        self._lingering: list[float] = []  # until when sessions count that ended without TEARDOWN

    @property
    def silent(self) -> bool:
        """No pictures are sent at the moment."""
        return self.stalled or not self.thawed.is_set()

    def note(self, **more: int) -> None:
        """Count."""
        with self.changed:
            changed: dict[str, Any] = {name: getattr(self.counts, name) + each for name, each in more.items()}
            changed["most_sessions"] = max(self.counts.most_sessions, changed.get("sessions", 0))
            self.counts = replace(self.counts, **changed)
            self.changed.notify_all()

    def record(self, request: Message, *, keeps_alive: bool) -> None:
        method, address, _ = request.words
        headers = {name.lower(): value for name, value in request.headers}
        with self.changed:
            self.requests.append(Request(time.monotonic(), method, address, headers))
        self.note(keep_alives=int(keeps_alive))

    def lets_in(self, request: Message) -> bool:
        """Whether the password is right; where it is asked for and sent, that counts."""
        sent = request.header("Authorization")
        right = self.door.opens(request.words[0], sent)
        lock_after = self.faults.lock_after
        if lock_after is not None and self.counts.refused_log_ins >= lock_after:
            right = False
        if sent:
            self.note(log_ins=int(right and request.words[0] == "DESCRIBE"), refused_log_ins=int(not right))
        return right

    def next_status(self) -> int:
        """The status of the DESCRIBE that is being answered, for all that has nothing to do with its address."""
        with self.changed:
            faults, now = self.faults, time.monotonic()
            if faults.statuses:
                self.faults = replace(faults, statuses=faults.statuses[1:])
                return faults.statuses[0]
            self._lingering = [until for until in self._lingering if until > now]
            taken = self.counts.sessions + len(self._lingering)
            full = faults.max_sessions is not None and taken >= faults.max_sessions
            return faults.full_status if full else faults.status

    def end_session(self, *, cleanly: bool) -> None:
        """A session is over, by TEARDOWN or without."""
        if not cleanly:
            with self.changed:
                self._lingering.append(time.monotonic() + self.faults.linger_s)
        self.note(sessions=-1, teardowns=int(cleanly))
