"""What the video library can do, for ``vidgraph info``."""

from __future__ import annotations

from typing import Any

_DECODERS = ("h264", "hevc", "av1", "vp9", "vp8", "mpeg4", "mpeg2video", "mjpeg", "prores")
_ENCODERS = ("libx264", "libx265", "libsvtav1", "h264_nvenc", "aac")


def video_info() -> dict[str, Any]:
    """Versions, decoders and encoders; plain JSON types."""
    import av

    known = av.codecs_available
    return {
        "PyAV": av.__version__,
        "FFmpeg": av.ffmpeg_version_info,
        "decoders": [name for name in _DECODERS if name in known],
        "encoders": [name for name in _ENCODERS if name in known],
    }
