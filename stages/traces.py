"""Traces by OpenTelemetry: one span for each frame that is chosen, with a child for each stage."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from ..pipeline.errors import MissingExtraError
from ..pipeline.packet import Key, Packet
from ..pipeline.stage import EndReason, Sink, Stage

EVERY = 1000
"""Of so many frames of a stream, one is traced."""
_SEND_S = 2  # a collector that is not there must not hold up the end of a run
_LONGEST_WAIT = 1000  # frames that were begun and never came out


class Tracer:
    """Times the stages of one frame in ``every``, and sends them to a collector of OpenTelemetry over HTTP.

    Args:
        endpoint: of the collector, such as ``http://127.0.0.1:4318``; the path ``/v1/traces`` is added where there is
            none.
        every: one frame of so many.
        exporter: in place of the one for ``endpoint``.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """

    def __init__(self, endpoint: str, *, every: int = EVERY, exporter: Any = None) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            if exporter is None:
                from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

                place = endpoint.rstrip("/")
                place = place if "/v1/" in place else f"{place}/v1/traces"
                exporter = OTLPSpanExporter(endpoint=place, timeout=_SEND_S)
        except ImportError as error:
            raise MissingExtraError("traces", "otel") from error
        self.every = every
        self._provider = TracerProvider(resource=Resource.create({"service.name": "vidgraph"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("vidgraph")
        self._lock = threading.Lock()
        self._times: dict[tuple[str, int], list[tuple[str, int, int]]] = {}

    def stages(self, stages: Iterable[Stage]) -> list[Stage]:
        """The stages, each timed on the frames that are chosen."""
        return [_TimedStage(stage, self) for stage in stages]

    def sink(self) -> Sink:
        """The output that makes spans of the times."""
        return _Spans(self)

    def chooses(self, packet: Packet) -> bool:
        """Whether a frame is traced."""
        return packet.frame.index % self.every == 0

    def took(self, packet: Packet, stage: str, begun_ns: int, ended_ns: int) -> None:
        """A stage worked on a frame; times are nanoseconds since 1970."""
        place = packet.frame.stream_id, packet.frame.index
        with self._lock:
            if len(self._times) >= _LONGEST_WAIT:
                self._times.clear()
            self._times.setdefault(place, []).append((stage, begun_ns, ended_ns))

    def send(self, packet: Packet) -> None:
        """The frame is through: its span, and those of its stages."""
        frame = packet.frame
        with self._lock:
            times = self._times.pop((frame.stream_id, frame.index), [])
        if not times:
            return
        from opentelemetry.trace import set_span_in_context

        about: dict[str, str | int] = {"vidgraph.source": frame.stream_id, "vidgraph.frame": frame.index}
        if packet.drop_cause is not None:
            about["vidgraph.dropped"] = packet.drop_cause
        root = self._tracer.start_span("frame", start_time=min(begun for _, begun, _ in times), attributes=about)
        inside = set_span_in_context(root)
        for stage, begun_ns, ended_ns in times:
            child = self._tracer.start_span(stage, context=inside, start_time=begun_ns)
            child.end(ended_ns)
        root.end(max(ended for _, _, ended in times))

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


class _TimedStage(Stage):
    """A stage, timed on the frames that a tracer chooses."""

    def __init__(self, stage: Stage, tracer: Tracer) -> None:
        self.stage, self._tracer = stage, tracer
        self.name: str = stage.name
        self.reads: frozenset[Key[Any]] = stage.reads
        self.creates: frozenset[Key[Any]] = stage.creates
        self.updates: frozenset[Key[Any]] = stage.updates
        self.stateless: bool = stage.stateless
        self.holds: int = stage.holds
        self.on_dropped: bool = stage.on_dropped

    def open(self) -> None:
        self.stage.open()

    def process(self, packet: Packet) -> Iterable[Packet]:
        if not self._tracer.chooses(packet):
            return self.stage.process(packet)
        begun_ns = time.time_ns()
        try:
            outputs = self.stage.process(packet)
            return outputs if outputs is None else list(outputs)
        finally:
            self._tracer.took(packet, self.name, begun_ns, time.time_ns())

    def end_stream(self, stream_id: str, reason: EndReason) -> Sequence[Packet] | Iterable[Packet]:
        return self.stage.end_stream(stream_id, reason)

    def close(self) -> None:
        self.stage.close()


class _Spans(Sink):
    name = "traces"

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def write(self, packet: Packet) -> None:
        if self._tracer.chooses(packet):
            self._tracer.send(packet)
