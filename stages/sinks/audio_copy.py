"""Carries a video file's sound over into the annotated video, packet by packet, in step with the pictures."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard

from ...pipeline.redaction import redact_address
from ..sources.av_open import NETWORK, open_container

log = logging.getLogger("vidgraph")

# What players read in each container; other codecs become AAC. Matroska holds whatever FFmpeg says it holds.
_HELD: dict[str, frozenset[str]] = {
    "mp4": frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "dts", "truehd"}),
    "mov": frozenset({"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_f32le"}),
}
_BITS_PER_CHANNEL = 80_000  # a second, of transcoded sound
_AAC_RATES = (
    7350,
    8000,
    11025,
    12000,
    16000,
    22050,
    24000,
    32000,
    44100,
    48000,
    64000,
    88200,
    96000,
)  # ISO/IEC 14496-3
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # others are mixed down to two channels
_LOOK_AHEAD = 20_000  # packets: where a stream has none among these, it is written when it comes


class AudioCopy:
    """All audio streams of a file, read by a demuxer of its own that is hardly ahead of the pictures.

    Order of calls: :meth:`begin`, :meth:`add_to`, :meth:`write_first`, then :meth:`write_until` again and
    again, :meth:`finish`, :meth:`close`.

    Attributes:
        origin: seconds at which the file's clock begins, or None where it does not say.
    """

    def __init__(self, address: str) -> None:
        """
        Args:
            address: the file or http(s) address that the pictures come from.

        Raises:
            SourceError: it cannot be opened.
        """
        place = address if NETWORK.match(address) else Path(address)
        self._label = redact_address(place) if isinstance(place, str) else place.name
        self._input = open_container(place, address)
        for stream in self._input.streams:
            if stream.type != "audio":
                stream.discard = Discard.all
        start = self._input.start_time
        self.origin = None if start is None else Fraction(start, av.time_base)
        self._tracks: dict[int, _Track] = {}
        self._packets: Iterator[Packet[Any]] = iter(())
        self._waiting: deque[Packet[Any]] = deque()
        self._firsts: dict[int, Packet[Any]] = {}
        self._shift = Fraction(0)

    def begin(self, *, shift: Fraction, first: Fraction | None = None) -> None:
        """Find the first packet of each stream; streams without one are left out.

        Args:
            shift: seconds to subtract from all times.
            first: time in the file's clock before which nothing is wanted; None: from the start.
        """
        self._shift = shift
        streams = self._input.streams.audio
        if not streams:
            return
        if first is not None:
            try:
                self._input.seek(max(0, int(first * av.time_base)), backward=True)
            except FFmpegError:
                log.debug("%s: cannot seek; its sound is read from the start", self._label)
        self._packets = self._read(list(streams), first)
        while len(self._firsts) < len(streams) and len(self._waiting) < _LOOK_AHEAD:
            packet = next(self._packets, None)
            if packet is None:
                break
            self._waiting.append(packet)
            self._firsts.setdefault(packet.stream_index, packet)

    def late_s(self, time: Fraction) -> Fraction:
        """How many seconds after ``time`` (in the file's clock) the last of the streams begins."""
        return max((_time(packet) - time for packet in self._firsts.values()), default=Fraction(0))

    def add_to(self, output: OutputContainer, path: Path) -> None:
        """Add a stream to ``output`` for each audio stream; says in the log which had to be transcoded."""
        suffix = path.suffix.lower()[1:]
        held = _HELD.get({"m4v": "mp4"}.get(suffix, suffix))
        for index in sorted(self._firsts):
            stream = self._input.streams[index]
            name = _family(stream.codec_context.name) if stream.codec_context is not None else ""
            track = _Track.copied(stream, output) if held is None or name in held else None
            if track is None and name:
                track = _Track.transcoded(stream, output)
                log.warning("%s cannot hold %s audio; it is transcoded to AAC", path.name, name)
            if track is None:
                log.warning("%s: an audio stream of an unknown codec is left out", self._label)
                continue
            track.target.metadata.update({k: v for k, v in stream.metadata.items() if k in ("language", "title")})
            self._tracks[index] = track

    def _read(self, wanted: list[Any], first: Fraction | None) -> Iterator[Packet[Any]]:
        try:
            for packet in self._demuxed(wanted):
                if packet.dts is None or packet.pts is None or packet.time_base is None:
                    continue
                if first is None or packet.pts * Fraction(packet.time_base) >= first:
                    yield packet
        except (FFmpegError, OSError) as error:
            log.warning("%s: the sound ends early: %s", self._label, error.strerror or type(error).__name__)

    def _demuxed(self, wanted: list[Any]) -> Iterator[Packet[Any]]:
        while True:
            try:
                yield from self._input.demux(wanted)
                return
            except IndexError:  # PyAV knows no streams that begin in the midst of a file: their packets are passed over
                continue

    def write_first(self, output: OutputContainer) -> None:
        """Write the first packet of each stream now, whatever its time.

        Raises:
            FFmpegError: the output cannot be written.
        """
        for packet in self._firsts.values():
            self._waiting.remove(packet)
            self._write(packet, output)

    def write_until(self, output: OutputContainer, time: Fraction | None) -> None:
        """Write what comes up to ``time`` (seconds in the file's clock, before the shift); None: everything.

        Raises:
            FFmpegError: the output cannot be written.
        """
        while True:
            if not self._waiting:
                packet = next(self._packets, None)
                if packet is None:
                    return
                self._waiting.append(packet)
            if time is not None and _time(self._waiting[0]) > time:
                return
            self._write(self._waiting.popleft(), output)

    def _write(self, packet: Packet[Any], output: OutputContainer) -> None:
        track = self._tracks.get(packet.stream_index)
        if track is not None:
            track.write(packet, output, self._shift)

    def finish(self, output: OutputContainer, time: Fraction | None) -> None:
        """Write up to ``time`` (None: to the end of the file) and flush the transcoders."""
        self.write_until(output, time)
        for track in self._tracks.values():
            track.flush(output)
        left_out = sum(track.left_out for track in self._tracks.values())
        if left_out:
            log.warning(
                "%s: packets of sound left out, which are damaged or go back in time: %d", self._label, left_out
            )

    def close(self) -> None:
        self._packets = iter(())
        self._waiting.clear()
        self._input.close()


def _time(packet: Packet[Any]) -> Fraction:
    assert packet.dts is not None
    return packet.dts * Fraction(packet.time_base)


class _Track:
    """One audio stream on its way: packets as they are, or decoded and encoded anew.

    Attributes:
        left_out: packets that the container does not take: damaged ones, and those of a clock that went back.
    """

    def __init__(self, source: Any, target: Any, *, transcode: bool) -> None:
        self.source, self.target, self._transcode = source, target, transcode
        self._last_dts: int | None = None
        self._last_muxed: int | None = None  # in the target's ticks
        self.left_out = 0
        context = source.codec_context
        bare = not transcode and context.name == "aac" and not context.extradata
        # AAC of broadcasts says what it is in every packet, that of files once; the index of an MP4 is put together
        # too late for the muxer to see to this itself
        self._filter = BitStreamFilterContext("aac_adtstoasc", in_stream=source) if bare else None

    @classmethod
    def copied(cls, source: Any, output: OutputContainer) -> _Track | None:
        """A track that copies, or None where the container does not take the codec."""
        try:
            return cls(source, output.add_stream_from_template(source), transcode=False)
        except (ValueError, FFmpegError):
            return None

    @classmethod
    def transcoded(cls, source: Any, output: OutputContainer) -> _Track:
        context = source.codec_context
        rate = next((rate for rate in _AAC_RATES if rate >= (context.sample_rate or 48000)), _AAC_RATES[-1])
        channels = context.layout.nb_channels
        bits = channels * min(_BITS_PER_CHANNEL, 5 * rate)  # AAC takes at most 6 bits a sample
        target = output.add_stream("aac", rate=rate, bit_rate=bits)
        target.codec_context.layout = _LAYOUTS.get(channels, "stereo")
        return cls(source, target, transcode=True)

    def write(self, packet: Packet[Any], output: OutputContainer, shift: Fraction) -> None:
        """Pass one packet on, ``shift`` seconds earlier."""
        ticks = round(shift / Fraction(packet.time_base))
        if not self._transcode:
            self._copy(packet, output, ticks)
            return
        for frame in self._decoded(packet):
            if frame.pts is not None:
                frame.pts -= round(shift / Fraction(frame.time_base))
            self._mux(self.target.encode(frame), output)

    def _copy(self, packet: Packet[Any], output: OutputContainer, ticks: int) -> None:
        assert packet.pts is not None
        assert packet.dts is not None
        packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
        if self._last_dts is not None and packet.dts <= self._last_dts:
            self.left_out += 1  # a clock that went back: the muxer takes no such packet
            return
        self._last_dts = packet.dts
        try:
            packets = [packet] if self._filter is None else self._filter.filter(packet)
        except FFmpegError:
            self.left_out += 1
            return
        self._mux(packets, output)

    def _mux(self, packets: list[Packet[Any]], output: OutputContainer) -> None:
        """Hand packets to the muxer, whose ticks may be longer: times that become one are kept apart, where need be."""
        apart = output.format.name != "matroska"
        for packet in packets:
            packet.stream = self.target
            if packet.dts is not None and packet.pts is not None:
                scale = Fraction(packet.time_base) / Fraction(self.target.time_base)
                dts, late = round(packet.dts * scale), max(0, round((packet.pts - packet.dts) * scale))
                if self._last_muxed is not None:
                    dts = max(dts, self._last_muxed + apart)
                self._last_muxed = dts
                packet.duration = round(packet.duration * scale) if packet.duration else 0
                packet.pts, packet.dts, packet.time_base = dts + late, dts, self.target.time_base
            try:
                output.mux_one(packet)
            except FFmpegError as error:
                if isinstance(error, OSError):
                    raise
                self.left_out += 1  # the video goes on without this piece of sound

    def _decoded(self, packet: Packet[Any]) -> list[Any]:
        try:
            return list(packet.decode())
        except FFmpegError:
            return []  # a damaged packet: a gap of some milliseconds

    def flush(self, output: OutputContainer) -> None:
        if self._transcode:
            self._mux(self.target.encode(None), output)


def _family(codec: str) -> str:
    """FFmpeg's decoder name without its variant: ``mp3float`` -> ``mp3``, ``dca`` -> ``dts``."""
    return {"mp3float": "mp3", "mp2float": "mp2", "dca": "dts", "libopus": "opus", "ac3_fixed": "ac3"}.get(codec, codec)
