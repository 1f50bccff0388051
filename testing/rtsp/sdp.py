"""The description of a camera's tracks (RFC 4566; RFC 6184, 7798, 2435 and that of AV1 for the codecs)."""

from __future__ import annotations

import base64

from ..clips import Clip
from .faults import Faults

_PAYLOADS = {"h264": (96, "H264"), "hevc": (96, "H265"), "mjpeg": (26, "JPEG"), "av1": (96, "AV1")}
VIDEO, AUDIO = "trackID=1", "trackID=2"


def payload_type(clip: Clip) -> int:
    return _PAYLOADS[clip.codec][0]


def describe(clip: Clip, faults: Faults) -> str:
    """The SDP of ``clip``, wrong as ``faults`` say."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*"]
    if not faults.no_media:
        if faults.audio:
            lines += ["m=audio 0 RTP/AVP 0", f"a=control:{AUDIO}"]
        lines += _video(clip, faults)
    text = "\r\n".join(lines) + "\r\n"
    return faults.edit_sdp(text) if faults.edit_sdp else text


def _video(clip: Clip, faults: Faults) -> list[str]:
    number, name = _PAYLOADS[clip.codec]
    lines = [f"m=video 0 RTP/AVP {number}", f"a=rtpmap:{number} {name}/90000"]
    if parameters := _parameters(faults.sdp_clip or clip, faults.sdp_parameter_sets):
        lines.append(f"a=fmtp:{number} {parameters}")
    if faults.sdp_fps is not None:
        lines.append(f"a=framerate:{faults.sdp_fps:g}")
    return [*lines, f"a=control:{VIDEO}"]


def _parameters(clip: Clip, with_sets: bool) -> str:
    sets = [base64.b64encode(each).decode() for each in clip.parameter_sets] if with_sets else []
    if clip.codec == "h264":
        profile = f";profile-level-id={clip.parameter_sets[0][1:4].hex()}" if sets else ""
        return "packetization-mode=1" + profile + (f";sprop-parameter-sets={','.join(sets)}" if sets else "")
    if clip.codec == "av1":
        return ""
    return ";".join(f"sprop-{key}={each}" for key, each in zip(("vps", "sps", "pps"), sets, strict=False))
