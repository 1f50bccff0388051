"""An RTSP server of GStreamer, run by the system's Python, which has its bindings: not imported by the package.

    gst_server_script.py CLIP … [--port N] [--audio] [--user U --digest] [--record-to FILE.mkv --record-codec h264]

Sends the clips (files of ``Clip.save``) as /cam0, /cam1, … and takes a stream that is published to /rec. The password
is in VIDGRAPH_CAMERA_PASSWORD. Prints ``READY port`` once it listens. Commands on standard input: ``stall``,
``resume``, ``jump seconds``; it ends when standard input does.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtspServer", "1.0")
# GstApp's own methods release the GIL; the action signals of the elements do not, and deadlock the server.
from gi.repository import GLib, Gst, GstApp, GstRtspServer  # noqa: E402, F401

TICKS = 90_000
END_S = 5.0  # for what is published to arrive in its file
ROLE = "viewer"
# Parameter sets come from the clip: config-interval=-1 would repeat them before every slice.
PAYLOADERS = {
    "h264": "h264parse ! rtph264pay name=pay0 pt=96 config-interval=0",
    "hevc": "h265parse ! rtph265pay name=pay0 pt=96 config-interval=0",
}
CAPS = {"h264": "video/x-h264", "hevc": "video/x-h265"}
DEPAYLOADERS = {"h264": "rtph264depay name=depay0 ! h264parse", "hevc": "rtph265depay name=depay0 ! h265parse"}
AUDIO = (
    "audiotestsrc is-live=true wave=silence ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8"
)


class Camera:
    """Sends one clip again and again, to all clients the same."""

    def __init__(self, path: str, audio: bool) -> None:
        with Path(path).open("rb") as file:
            self.head = json.loads(file.readline())
            self.units = [(file.read(length), pts, due, key) for length, pts, due, key in self.head["units"]]
        self.late = max(due - pts for _, pts, due, _ in self.units)  # no frame is shown before it is decoded
        self.stalled = False
        self.jumped_s = 0.0
        self.pipeline: Any = None
        self.factory = GstRtspServer.RTSPMediaFactory()
        self.factory.set_shared(True)
        self.factory.set_latency(0)
        source = f"appsrc name=source is-live=true format=time ! {PAYLOADERS[self.head['codec']]}"
        self.factory.set_launch(f"( {source} {AUDIO if audio else ''} )")
        self.factory.connect("media-configure", self.start)

    def start(self, _: Any, media: Any) -> None:
        self.pipeline = media.get_element().get_parent()
        media.connect("new-state", lambda *_: self.forget_the_clock())
        source = media.get_element().get_child_by_name("source")
        caps = f"{CAPS[self.head['codec']]},stream-format=byte-stream,alignment=au"
        size = f"width={self.head['width']},height={self.head['height']},framerate={fraction(self.head['fps'])}"
        source.set_property("caps", Gst.Caps.from_string(f"{caps},{size}"))
        ended = threading.Event()
        media.connect("unprepared", lambda _: ended.set())
        threading.Thread(target=self.feed, args=(source, ended), daemon=True).start()

    def forget_the_clock(self) -> None:
        """Pictures are sent when they are due: sinks that wait for the times in them would not live through a jump."""
        sinks = self.pipeline.iterate_sinks() if self.pipeline else None
        while sinks:
            result, sink = sinks.next()
            if result != Gst.IteratorResult.OK:
                return
            sink.set_property("sync", False)

    def jump(self, seconds: float) -> None:
        self.forget_the_clock()
        self.jumped_s += seconds

    def feed(self, source: Any, ended: threading.Event) -> None:
        start, n, before_s = time.monotonic(), 0, self.jumped_s
        while True:
            data, pts, due, key = self.units[n % len(self.units)]
            base = n // len(self.units) * self.head["duration"]
            if ended.wait(max(0.0, start + (base + due) / TICKS - time.monotonic())):
                return
            n += 1
            if self.stalled:
                continue
            buffer = Gst.Buffer.new_wrapped(data)
            offset_s = self.jumped_s - before_s
            buffer.pts = round(((base + self.late + pts) / TICKS + offset_s) * Gst.SECOND)
            buffer.dts = round(((base + due) / TICKS + offset_s) * Gst.SECOND)
            if not key:
                buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
            if source.push_buffer(buffer) != Gst.FlowReturn.OK:
                return


def fraction(text: str) -> str:
    return text if "/" in text else f"{text}/1"


def authority(user: str, password: str, digest: bool) -> Any:
    """Asks for the password; whoever has it may see and publish everything."""
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", ROLE)
    if digest:
        auth.set_supported_methods(2)  # GST_RTSP_AUTH_DIGEST
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    return auth


def mount(server: Any, path: str, factory: Any, protected: bool) -> None:
    if protected:
        permissions = GstRtspServer.RTSPPermissions()
        for each in ("media.factory.access", "media.factory.construct"):
            permissions.add_permission_for_role(ROLE, each, True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory(path, factory)


class Recorder:
    """Takes what is published into a Matroska file."""

    def __init__(self, path: str, codec: str) -> None:
        self.idle = threading.Event()
        self.idle.set()
        self.factory = GstRtspServer.RTSPMediaFactory()
        self.factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        self.factory.set_latency(2000)  # what comes late, as on a busy machine, is not left out
        self.factory.set_eos_shutdown(True)  # the muxer writes what it kept back
        self.factory.set_launch(f'( {DEPAYLOADERS[codec]} ! matroskamux ! filesink location="{path}" )')
        self.factory.connect("media-configure", self.start)

    def start(self, _: Any, media: Any) -> None:
        self.idle.clear()
        media.connect("unprepared", lambda _: self.idle.set())


def obey(cameras: list[Camera], loop: Any) -> None:
    """Carry out the commands on standard input."""
    for line in sys.stdin:
        command, *values = line.split()
        for camera in cameras:
            if command in ("stall", "resume"):
                camera.stalled = command == "stall"
            elif command == "jump":
                camera.jump(float(values[0]))
    loop.quit()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("clips", nargs="*")
    parser.add_argument("--port", default="0")
    parser.add_argument("--audio", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--digest", action="store_true")
    parser.add_argument("--record-to")
    parser.add_argument("--record-codec", default="h264")
    given = parser.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(given.port)
    if given.user:
        server.set_auth(authority(given.user, os.environ.get("VIDGRAPH_CAMERA_PASSWORD", ""), given.digest))
    cameras = [Camera(path, given.audio) for path in given.clips]
    for n, camera in enumerate(cameras):
        mount(server, f"/cam{n}", camera.factory, bool(given.user))
    recorder = Recorder(given.record_to, given.record_codec) if given.record_to else None
    if recorder:
        mount(server, "/rec", recorder.factory, bool(given.user))
    if not server.attach(None):
        sys.exit(f"port {given.port} of 127.0.0.1 is taken")
    loop = GLib.MainLoop()
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, lambda *_: loop.quit() or False)
    threading.Thread(target=obey, args=(cameras, loop), daemon=True).start()
    GLib.timeout_add_seconds(2, lambda: server.get_session_pool().cleanup() >= 0)
    sys.stdout.write(f"READY {server.get_bound_port()}\n")
    sys.stdout.flush()
    loop.run()
    if recorder:
        recorder.idle.wait(END_S)


if __name__ == "__main__":
    main()
    os._exit(0)  # threads that sit in GStreamer would keep the interpreter from ending
