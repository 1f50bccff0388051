"""Cameras that fail on purpose, on this machine: for testing whatever reads cameras.

    from vidgraph.testing import Faults, RtspCamera, make_clip

Every frame that they send has its number in the pixels; :func:`number_in` reads it back. ``vidgraph.testing.plugin``
has them as fixtures of pytest.
"""

from __future__ import annotations

from .certificate import self_signed
from .clips import AccessUnit, Clip, make_clip
from .gst_camera import GstCamera, gst_missing
from .http_camera import HlsCamera, MjpegCamera
from .listener import Publisher
from .numbers import number_in
from .proxy import TcpProxy, UdpLossProxy
from .rtsp.camera import Counts, Request, RtspCamera
from .rtsp.faults import Faults

__all__ = [
    "AccessUnit",
    "Clip",
    "Counts",
    "Faults",
    "GstCamera",
    "HlsCamera",
    "MjpegCamera",
    "Publisher",
    "Request",
    "RtspCamera",
    "TcpProxy",
    "UdpLossProxy",
    "gst_missing",
    "make_clip",
    "number_in",
    "self_signed",
]
