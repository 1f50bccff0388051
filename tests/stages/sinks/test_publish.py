"""The annotated video published to servers: real ones, and FFmpeg that listens."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from vidgraph.pipeline.errors import OutputError, UsageError
from vidgraph.pipeline.packet import Frame, Packet
from vidgraph.pipeline.stage import EndReason
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.sinks import publish_feed
from vidgraph.stages.sinks.addresses import OutputStream
from vidgraph.stages.sinks.kinds import kind_of
from vidgraph.stages.sinks.publish import PublishVideo, check_srt
from vidgraph.stages.sinks.publish_connection import PublishConnection
from vidgraph.stages.sinks.registry import Outputs
from vidgraph.testing import GstCamera, number_in
from vidgraph.testing.numbers import numbered_luma

SIZE = (180, 320)
UNEVEN = (0.0, 0.04, 0.07, 0.16, 0.2, 0.21, 0.3)  # seconds, again and again


def numbered(number: int, time_s: float, *, size: tuple[int, int] = SIZE, stream: str = "door") -> Packet:
    height, width = size
    gray = np.full((height // 2, width // 2), 128, np.uint8)
    picture = Picture("yuv420p", (numbered_luma(number, size), gray, gray), matrix="bt709", full_range=False)
    ns = round(time_s * 1e9)
    return Packet(Frame(stream, number, 0, ns, 0, picture, pts=ns, time_base=Fraction(1, 1_000_000_000)))


def times(frames: int) -> list[float]:
    return [n // len(UNEVEN) * 0.34 + UNEVEN[n % len(UNEVEN)] for n in range(frames)]


def publish(sink: PublishVideo, given: Sequence[Packet], *, real_time: bool = False) -> None:
    sink.open()
    start = time.monotonic()
    try:
        for packet in given:
            if real_time:
                time.sleep(max(0.0, start + packet.frame.time_s - time.monotonic()))
            sink.write(packet)
        sink.end_stream("door", EndReason.FINISHED)
    finally:
        sink.close()


def read(container: Any) -> list[tuple[int | None, float]]:
    """Number and time of each frame, until the publisher leaves."""
    found: list[tuple[int | None, float]] = []
    with suppress(av.error.FFmpegError, OSError):
        found.extend((number_in(one), math.nan if one.time is None else one.time) for one in container.decode(video=0))
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Listener:
    """FFmpeg that waits for one publisher, and reads what it sends."""

    def __init__(self, scheme: str, port: int = 0) -> None:
        self.url = f"{scheme}://127.0.0.1:{port or free_port()}/live/door"
        options = {"rtsp": {"rtsp_flags": "listen", "listen_timeout": "10"}, "rtmp": {"listen": "1"}}[scheme]
        self._options = {**options, "analyzeduration": "100000"}
        self.found: list[tuple[int | None, float]] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            with av.open(self.url, options=self._options, timeout=(15, 5)) as container:
                self.found = read(container)
        except (av.error.FFmpegError, OSError) as error:
            print(error)

    def join(self) -> list[tuple[int | None, float]]:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.found

    def await_port(self) -> None:
        """Until it listens: no publisher of a file tries twice. (Its one connection must not be taken.)"""
        port = int(self.url.split(":")[2].split("/")[0])
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if f":{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text():
                return
            time.sleep(0.02)


def assert_whole(found: list[tuple[int | None, float]], expected: Sequence[float], within_s: float = 0.0021) -> None:
    """All frames in order, with the times between them; an RTSP session does not tell that of the first."""
    assert [number for number, _ in found] == list(range(len(expected)))
    given = np.diff(np.array(expected[1:]))
    np.testing.assert_allclose(np.diff([time_s for _, time_s in found[1:]]), given, atol=within_s)


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp"])
def test_a_file_is_published_frame_by_frame_at_its_own_pace(scheme: str) -> None:
    listener = Listener(scheme)
    listener.await_port()
    started = time.monotonic()
    publish(PublishVideo({"": listener.url}, picture=None), [numbered(n, t) for n, t in enumerate(times(40))])
    assert time.monotonic() - started >= times(40)[-1]
    assert_whole(listener.join(), times(40))


def test_a_real_server_records_all_frames_in_order_with_their_times(
    gst_camera: Callable[..., GstCamera], tmp_path: Path
) -> None:
    """The server leaves out what comes late, as on a busy machine: one of three goes must be whole."""
    given = [numbered(n, t) for n, t in enumerate(times(60))]
    for attempt in range(3):
        camera = gst_camera(record_to=tmp_path / f"{attempt}.mkv")
        publish(PublishVideo({"door": camera.record_url}, picture=None), given)
        camera.stop()
        with av.open(str(tmp_path / f"{attempt}.mkv")) as recorded:
            found = read(recorded)
        if [number for number, _ in found] == list(range(60)):
            break
    assert_whole(found, times(60), within_s=0.05)  # the server fits them to its own clock


def test_a_live_stream_is_connected_again_when_the_server_comes_back(
    gst_camera: Callable[..., GstCamera], tmp_path: Path
) -> None:
    camera = gst_camera(record_to=tmp_path / "rec.mkv")
    sink = PublishVideo({"door": camera.record_url}, live=["door"], picture=None)
    sink.open()
    longest_s = 0.0
    sent: dict[str, int] = {}  # frames when something happened

    def send(until: Callable[[], bool], event: str) -> None:
        nonlocal longest_s
        deadline = time.monotonic() + 30
        while not until() and time.monotonic() < deadline:
            n = sent.get("", 0)
            time.sleep(max(0.0, start + n * 0.04 - time.monotonic()))
            began = time.monotonic()
            sink.write(numbered(n % 4096, n * 0.04))
            longest_s = max(longest_s, time.monotonic() - began)
            sent[""] = n + 1
        sent[event] = sent[""]

    def is_up() -> bool:
        return bool(sink.status["door"].state == "up") if "door" in sink.status else False

    start = time.monotonic()
    send(is_up, "up")
    camera.kill()
    send(lambda: not is_up() and sent[""] > sent["up"] + 25, "gone")
    camera.restart()
    send(is_up, "back")
    send(lambda: sent[""] > sent["back"] + 40, "end")
    status = sink.status["door"]
    sink.end_stream("door", EndReason.CANCELLED)
    assert status.state == "up"
    assert sum(status.reconnects.values()) >= 1
    assert sink.left_out["not_connected"] >= 10
    assert longest_s < 2
    camera.stop()
    with av.open(str(tmp_path / "rec.mkv")) as recorded:
        numbers = [number for number, _ in read(recorded) if number is not None]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > sent["up"]
    assert numbers[-1] > sent["back"]
    sink.close()


def test_a_frozen_server_holds_no_live_stream_up(
    gst_camera: Callable[..., GstCamera], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_feed, "STUCK_S", 0.5)
    camera = gst_camera(record_to=tmp_path / "rec.mkv")
    sink = PublishVideo({"door": camera.record_url}, live=["door"], preset="ultrafast", picture=None)
    sink.open()
    noise = [np.random.default_rng(n).integers(0, 255, (720, 1280), np.uint8) for n in range(5)]
    gray = np.full((360, 640), 128, np.uint8)
    longest_s, until, frozen = 0.0, time.monotonic() + 30, False
    for n in count():
        if not frozen and n >= 10 and sink.status["door"].state == "up":
            frozen = True
            camera.freeze()
        picture = Picture("yuv420p", (noise[n % 5], gray, gray), matrix="bt709", full_range=False)
        began = time.monotonic()
        sink.write(Packet(Frame("door", n, 0, n * 40_000_000, 0, picture, pts=n * 40_000_000)))
        longest_s = max(longest_s, time.monotonic() - began)
        time.sleep(0.04)
        if sink.status["door"].reason == "stall" or time.monotonic() > until:
            break
    assert sink.status["door"].reason == "stall"
    assert longest_s < 2
    assert sum(sink.left_out.values()) > 0
    camera.kill()
    began = time.monotonic()
    sink.end_stream("door", EndReason.CANCELLED)
    assert time.monotonic() - began < 3


def test_a_file_whose_server_is_lost_fails() -> None:
    with pytest.raises(
        OutputError, match=r"cannot publish to rtsp://\*\*\*@127.0.0.1:\d+/x: the connection is refused"
    ):
        publish(
            PublishVideo({"": f"rtsp://me:secret@127.0.0.1:{free_port()}/x"}, picture=None),
            [numbered(n, n * 0.04) for n in range(40)],
        )


def test_a_server_that_refuses_is_named(gst_camera: Callable[..., GstCamera], tmp_path: Path) -> None:
    camera = gst_camera(record_to=tmp_path / "rec.mkv")
    with pytest.raises(
        OutputError, match=r"cannot publish to rtsp://127.0.0.1:\d+/recx: there is no such path \(404\)"
    ):
        publish(PublishVideo({"": camera.record_url + "x"}, picture=None), [numbered(n, n * 0.04) for n in range(40)])


def test_a_new_size_begins_a_new_connection(
    gst_camera: Callable[..., GstCamera], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    camera = gst_camera(record_to=tmp_path / "rec.mkv")
    sink = PublishVideo({"": camera.record_url}, live=["door"], picture=None)
    connections: list[PublishConnection] = []
    for n in count():
        sink.write(numbered(n, n * 0.04, size=(360, 640) if connections else SIZE))
        time.sleep(0.04)
        connection = sink._feeds["door"]._worker._connection
        if sink.status["door"].state == "up" and connection is not None and connection not in connections:
            connections.append(connection)
            assert b"rtsp" not in Path(f"/proc/{connection._process.pid}/cmdline").read_bytes()  # it has a password
        if len(connections) == 2 or n == 500:
            break
    sink.close()
    assert [connection._coding.size for connection in connections] == [SIZE, (360, 640)]
    assert "lost" not in caplog.text


def test_addresses() -> None:
    streams = [OutputStream(stream_id="door"), OutputStream(stream_id="back yard")]
    with pytest.raises(
        UsageError, match=r"output 'rtsp://\*\*\*@h/all' cannot take 2 streams \(door, back yard\); put"
    ):
        Outputs(["rtsp://u:p@h/all"], streams)
    (sink,) = Outputs(["rtsp://h/{stream}"], streams).sinks()
    assert isinstance(sink, PublishVideo)
    assert [address.url for address in sink._addresses.values()] == ["rtsp://h/door", "rtsp://h/back%20yard"]
    assert [kind_of(a).name for a in ("rtsps://h/x", "RTMP://h/x/y", "srt://h:9")] == ["rtsp", "rtmp", "srt"]
    with pytest.raises(UsageError, match="unknown preset 'quick'"):
        PublishVideo({}, preset="quick")


def test_a_second_stream_at_one_address_is_refused() -> None:
    sink = PublishVideo({"": f"rtsp://127.0.0.1:{free_port()}/x"}, live=["door", "yard"], picture=None)
    sink.write(numbered(0, 0.0))
    with pytest.raises(OutputError, match=r"cannot publish stream 'yard': its address has another; put"):
        sink.write(numbered(0, 0.0, stream="yard"))
    sink.close()


def test_srt_is_refused_where_ffmpeg_has_none() -> None:
    try:
        av.open("srt://").close()
    except av.error.ProtocolNotFoundError:
        with pytest.raises(UsageError, match="FFmpeg without SRT"):
            check_srt()
    except OSError:
        check_srt()


def test_the_end_does_not_wait_for_a_server_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"
        for live in (["door"], []):
            sink = PublishVideo({"": url}, live=live, picture=None)
            for packet in (numbered(n, n * 0.04) for n in range(5)):
                sink.write(packet)
            time.sleep(0.5)
            began = time.monotonic()
            sink.end_stream("door", EndReason.CANCELLED)
            assert time.monotonic() - began < 5
    until = time.monotonic() + 20
    while publishing := [thread for thread in threading.enumerate() if "publish" in thread.name]:
        assert time.monotonic() < until, publishing
        time.sleep(0.05)
