"""The process that sends coded video to a server; it is run as a file, and needs nothing of this package.

It is a process of its own because FFmpeg, while it connects to a server and takes leave of it, would hold all Python
threads of the other one up, and because a process that hangs can be ended.

Standard input: a line of JSON (``url``, ``format``, ``options``), then for each picture its time and length as in
:data:`HEAD`, and its H.264 in Annex B; the first has the parameter sets. Standard output: ``UP`` when there is a
connection, or a line with the name of FFmpeg's error and its number.
"""

from __future__ import annotations

import io
import json
import signal
import struct
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

HEAD = struct.Struct("<q?I")
"""Time in :data:`TICKS`, whether it is a key frame, bytes that follow."""
TICKS = Fraction(1, 90_000)  # as RTP and MPEG-TS count


def _packets(source: BinaryIO) -> Iterator[tuple[int, bool, bytes]]:
    while len(head := source.read(HEAD.size)) == HEAD.size:
        pts, key, length = HEAD.unpack(head)
        data = source.read(length)
        if len(data) == length:
            yield pts, key, data


def _send(source: BinaryIO, settings: dict[str, Any]) -> None:
    import av

    stream: Any = None
    container = av.open(settings["url"], "w", format=settings["format"], container_options=settings["options"])
    for pts, key, data in _packets(source):
        if stream is None:
            with av.open(io.BytesIO(data), format="h264") as sample:
                stream = container.add_stream_from_template(sample.streams.video[0])
            stream.time_base = TICKS
            container.start_encoding()
            _say("UP")
        packet = av.Packet(data)
        packet.stream, packet.time_base, packet.is_keyframe = stream, TICKS, key
        packet.pts = packet.dts = pts
        container.mux(packet)
    container.close()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Until standard input ends, or the connection is lost."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started it, which then ends it
    try:
        _send(sys.stdin.buffer, json.loads(sys.stdin.buffer.readline()))
    except Exception as error:  # some of FFmpeg's are no OSError
        _say(f"{type(error).__name__} {getattr(error, 'errno', 0) or 0}")
        sys.exit(1)


if __name__ == "__main__":
    main()
