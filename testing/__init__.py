"""Cameras that fail on purpose, on this machine: for testing whatever reads cameras.

    from vidgraph.testing import Faults, RtspCamera, make_clip

Every frame that they send has its number in the pixels; ``number_in`` reads it back. ``vidgraph.testing.plugin`` has
them as fixtures of pytest.
"""

from __future__ import annotations

from .clips import AccessUnit, Clip, make_clip
from .numbers import number_in
from .rtsp.camera import Counts, Request, RtspCamera
from .rtsp.faults import Faults

__all__ = ["AccessUnit", "Clip", "Counts", "Faults", "Request", "RtspCamera", "make_clip", "number_in"]
