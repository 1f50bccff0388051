"""Coded pictures into containers and streams, as they are."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

from .clips import TICKS, Clip


def add_stream(container: Any, clip: Clip) -> Any:
    """A stream of ``container`` (an av container that is written) for the pictures of ``clip``."""
    import av

    sample = b"".join(clip.data(unit) for unit in clip.units)
    with av.open(io.BytesIO(sample), format=clip.codec) as source:
        stream = container.add_stream_from_template(source.streams.video[0])
    stream.time_base = Fraction(1, TICKS)
    return stream


def packets(clip: Clip, stream: Any, base: int, first: int = 0, last: int | None = None) -> Iterator[Any]:
    """Packets of the units from ``first`` up to ``last``; times start at ``base`` (1/90000 s) for the clip's start."""
    import av

    late = max(due - unit.pts for due, unit in zip(clip.due, clip.units, strict=True))
    for n in range(first, len(clip.units) if last is None else last):
        unit = clip.units[n]
        packet = av.Packet(clip.data(unit))
        packet.stream = stream
        packet.time_base = Fraction(1, TICKS)
        packet.pts, packet.dts = base + unit.pts, base + clip.due[n] - late
        packet.is_keyframe = unit.key
        yield packet


@lru_cache(maxsize=64)
def transport_stream(clip: Clip, first: int, last: int, base: int) -> bytes:
    """Units ``first`` up to ``last`` as a segment of MPEG-TS."""
    import av

    out = io.BytesIO()
    options = {"mpegts_flags": "+initial_discontinuity+resend_headers"}
    with av.open(out, "w", format="mpegts", options=options) as container:
        stream = add_stream(container, clip)
        for packet in packets(clip, stream, base + TICKS, first, last):
            container.mux(packet)
    return out.getvalue()
