"""What an :class:`.camera.RtspCamera` does wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..clips import Clip

METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What a camera does wrong; nothing by default. ``camera.faults`` may be replaced while it runs.

    Frames are counted from PLAY, for each session from 0.

    Attributes:
        no_answer_to: the method that is never answered (``"OPTIONS"``: a port that is open and silent).
        statuses: the answers to the next DESCRIBE requests, one each; after them, 200.
        status: the answer to every DESCRIBE.
        redirect: an address to which DESCRIBE is sent on (302).
        content_base: the Content-Base, as it is.
        strict_control: SETUP is 404 for addresses without the track.
        max_sessions: DESCRIBE is refused with ``full_status`` (403, 453, 500, 503) at so many open sessions.
        linger_s: a session that ended without TEARDOWN counts as open for so long.
        lock_after: so many wrong passwords, and every password is wrong.
        public: what OPTIONS names.
        keep_alive_method: the only request that keeps a session alive.
        keep_alive_status: the answer to GET_PARAMETER; None: no answer.
        announce_timeout: the time-out of sessions is in the answer to SETUP.
        rtp_info: PLAY is answered with RTP-Info.
        channels: the interleaved channels that are used, whatever the client asked for.
        announced_channels: the channels that SETUP names, although others are used.

        no_media: an SDP without tracks.
        audio: an audio track that comes first; ``needed``: without its SETUP no video is sent. It is always silent.
        sdp_parameter_sets: the SDP has parameter sets.
        sdp_clip: the clip whose parameter sets the SDP has.
        sdp_fps: the frame rate that the SDP claims.
        edit_sdp: takes the SDP, gives the one that is sent.

        band_parameter_sets: parameter sets and SEI stand before key frames.
        junk_nals: NAL units put before every picture.
        jpeg_q: the field Q of MJPEG (RFC 2435), whatever the tables are.
        start_at: the frame of the clip with which a session starts.
        loop: after the last frame the clip starts again; else nothing more is sent.
        then_clip, then_clip_at: from this frame on another clip is sent.

        first_rtp_time: the time stamp of the first frame; 2**32 - 90000 wraps after a second.
        jump_at, jump_s: from this frame on time stamps are so many seconds off.
        same_time: all frames have one time stamp.
        repeat_times: every second frame has the time stamp of the one before it.
        stray_every, stray_s: every so many frames a time stamp is off by so many seconds.
        report_clock: RTCP sender reports are sent; takes the frame, gives the Unix time that they claim.
        report_at: the frame of the first report; then one every 15 frames.

        mtu: bytes of payload in an RTP packet.
        marker: the packets with a marker bit: the last of a picture, none, or all.
        loss: the share of RTP packets that is not sent.
        reorder: the share of RTP packets that is sent after the one behind it.
        corrupt: the share of RTP packets with wrong bytes in it.
        seed: of the last three.
        udp_blackhole: what is sent by UDP is lost.
        lose_byte_at: the frame in which one byte is lost, of interleaved TCP.
        lose_byte: where in the packet.
        other_session_every: every so many frames packets of another session (SSRC) come along.
        junk_channel: data is sent on this channel, too.

        stall_at, stall_frames: from this frame on nothing is sent, for so many frames (None: for ever).
        close_at, close_with: at this frame the connection is closed.
        bye_at, bye: at this frame RTCP BYE is sent, after a report or alone, and nothing more.
    """

    no_answer_to: str = ""
    statuses: tuple[int, ...] = ()
    status: int = 200
    redirect: str = ""
    content_base: str | None = None
    strict_control: bool = False
    max_sessions: int | None = None
    full_status: int = 453
    linger_s: float = 0.0
    lock_after: int | None = None
    public: str = METHODS
    keep_alive_method: str = ""
    keep_alive_status: int | None = 200
    announce_timeout: bool = True
    rtp_info: bool = True
    channels: tuple[int, int] | None = None
    announced_channels: tuple[int, int] | None = None

    no_media: bool = False
    audio: Literal["", "silent", "needed"] = ""
    sdp_parameter_sets: bool = True
    sdp_clip: Clip | None = None
    sdp_fps: float | None = None
    edit_sdp: Callable[[str], str] | None = None

    band_parameter_sets: bool = True
    junk_nals: tuple[bytes, ...] = ()
    jpeg_q: int = 255
    start_at: int = 0
    loop: bool = True
    then_clip: Clip | None = None
    then_clip_at: int | None = None

    first_rtp_time: int = 1000
    jump_at: int | None = None
    jump_s: float = 3600.0
    same_time: bool = False
    repeat_times: bool = False
    stray_every: int | None = None
    stray_s: float = -0.1
    report_clock: Callable[[int], float] | None = None
    report_at: int = 5

    mtu: int = 1400
    marker: Literal["last", "none", "all"] = "last"
    loss: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    seed: int = 1
    udp_blackhole: bool = False
    lose_byte_at: int | None = None
    lose_byte: Literal["payload", "header"] = "payload"
    other_session_every: int | None = None
    junk_channel: int | None = None

    stall_at: int | None = None
    stall_frames: int | None = None
    close_at: int | None = None
    close_with: Literal["fin", "rst"] = "fin"
    bye_at: int | None = None
    bye: Literal["compound", "lone"] = "compound"


FAULTLESS = Faults()
