"""The annotated video as an output: one H.264 file for each stream, with its timing and its sound."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from ...pipeline.claims import Claim, Claims, output_error
from ...pipeline.errors import SourceError, UsageError
from ...pipeline.packet import Frame, Key, Packet
from ...pipeline.stage import EndReason, Sink
from ...pipeline.types.picture import HDR_TRANSFERS, Picture
from ..drawing.draw import ANNOTATED
from ..sources.clock import NANOSECONDS
from .addresses import OutputStream, part_files, part_path, shown_picture
from .audio_copy import AudioCopy
from .encoder_frame import Coding
from .encoders import ENCODERS, ON_CPU, PRESETS, EncoderRefused, say_fallback
from .settings import SinkSettings
from .video_file import EncoderSettings, VideoFile, frame_time
from .video_so_far import VideoSoFar

log = logging.getLogger("vidgraph")
_KEPT_ORIGIN_S = 1  # a file's clock that begins within a second of 0 is kept; others (broadcasts) start at 0


class EncodeVideo(Sink):
    """Writes every frame of every stream in order, failed ones undrawn; those without pixels are left out.

    Each file is H.264 (with some encoders H.265 or AV1), 4:2:0 in 8 bits, with the source's timestamps and all of its
    audio streams, copied or, where the container cannot hold the codec, transcoded to AAC. Pictures of odd size get one
    more row or column. Colour tags are those of the source; HDR is written in 8 bits, and this is said.

    A video whose size, matrix, range or pixel shape changes, or whose time jumps by more than an MP4 can count (half
    an hour and more), goes on in a further file, ``out.part2.mp4``, with the sound from there on, so that nothing is
    scaled or lost. With the first frame, further parts of an earlier video of that name are removed. Pictures from
    files of their own make one video: they are fitted into the size of the first, with black bars, and this is said.
    Where a network makes pictures of another size than the frames', a frame that it failed on is fitted into that.

    Args:
        paths: the file of each stream.
        streams: what is known of the streams, for the sound.
        encoder: ``libx264``, ``h264_nvenc``, ``hevc_nvenc``, ``av1_nvenc``; ``auto``: ``h264_nvenc`` for pictures on a
            card, where it is to be had when a stream begins, else ``libx264``, and a line in the log says why.
        preset: by x264's names, ``ultrafast`` to ``veryslow``.
        threads: of each encoder.
        picture: the key of what to show; None: the frames as they came.
        overwrite: replace files that exist; otherwise those that are not claimed yet must not be there.
        so_far: what each stream's video has already, which is kept; absent: nothing.
        claims: of the run; None: its own.

    Raises:
        UsageError: an unknown encoder or preset.
    """

    name = "encode"

    def __init__(
        self,
        paths: Mapping[str, Path],
        *,
        streams: Sequence[OutputStream] = (),
        encoder: str = "auto",
        preset: str = "veryfast",
        threads: int = 1,
        picture: Key[Picture] | None = ANNOTATED,
        overwrite: bool = True,
        so_far: Mapping[str, VideoSoFar] | None = None,
        claims: Claims | None = None,
    ) -> None:
        if preset not in PRESETS:
            raise UsageError(f"unknown preset {preset!r}; presets are {', '.join(PRESETS)}")
        if encoder not in ("auto", *ENCODERS):
            raise UsageError(f"unknown encoder {encoder!r}; encoders are auto, {', '.join(ENCODERS)}")
        self.paths = dict(paths)
        self._about = {stream.stream_id: stream for stream in streams}
        self._settings = EncoderSettings(encoder, preset, max(1, threads))
        self._key = picture
        self.reads: frozenset[Key[Any]] = frozenset() if picture is None else frozenset({picture})
        self._so_far = dict(so_far or {})
        self._files = _Files(Claims() if claims is None else claims, overwrite=overwrite)
        self._writers: dict[str, _StreamWriter] = {}

    def open(self) -> None:
        """Make sure that the files can be written, and cut off what the parts that are there have of no whole picture.

        Raises:
            OutputError: one cannot be written, or another process writes it.
        """
        try:
            for stream, path in self.paths.items():
                self._files.open(path, self._so_far.get(stream, VideoSoFar()))
        except BaseException:
            self.close()
            raise

    def write(self, packet: Packet) -> None:
        """Add a frame to its stream's file.

        Raises:
            OutputError: the file cannot be written, or was removed or replaced.
        """
        picture = shown_picture(packet, self._key)
        stream = packet.frame.stream_id
        so_far = self._so_far.get(stream, VideoSoFar())
        if picture is None or packet.frame.index <= so_far.last_frame:
            return
        writer = self._writers.get(stream)
        if writer is None:
            path = self.paths.get(stream) or self.paths[""]
            about = self._about.get(stream, OutputStream(stream_id=stream))
            writer = _StreamWriter(path, about, self._settings, files=self._files, part=so_far.part)
            self._writers[stream] = writer
        writer.write(packet.frame, picture)

    def end_stream(self, stream_id: str, reason: EndReason) -> None:
        """Finish the stream's file.

        Raises:
            OutputError: it cannot be written to its end, or was removed or replaced.
        """
        writer = self._writers.pop(stream_id, None)
        if writer is not None:
            writer.finish(reason)

    def close(self) -> None:
        """Finish what is not finished, and remove files that were made and into which nothing was written."""
        try:
            for stream in list(self._writers):
                self.end_stream(stream, EndReason.CANCELLED)
        finally:
            for path in self.paths.values():
                self._files.close(path)


class _Files:
    """The files that a video is written into."""

    def __init__(self, claims: Claims, *, overwrite: bool) -> None:
        self._claims, self._overwrite = claims, overwrite

    def open(self, path: Path, so_far: VideoSoFar) -> None:
        """Claim the part to begin with, and cut the parts before it."""
        for part, whole in so_far.whole_bytes.items():
            try:
                self.claim(part).cut(whole)
            except OSError as error:
                raise output_error(part, error) from error
        self.claim(part_path(path, so_far.part))

    def claim(self, part: Path) -> Claim:
        """A part, which nobody else writes.

        Raises:
            OutputError: another process writes it, it is there and not to be replaced, or it cannot be opened.
        """
        return self._claims.take(part, new=not self._overwrite)

    def next_part(self, path: Path, number: int) -> int:
        """Number of the next part whose name is no other output's."""
        number += 1
        while self._claims.names(part_path(path, number)):
            number += 1
        return number

    def remove_further_parts(self, path: Path) -> None:
        """Remove the parts of an earlier video from the second on.

        Raises:
            OutputError: one cannot be removed, or another process writes it.
        """
        for part in part_files(path) if self._overwrite else ():
            if not self._claims.names(part):
                try:
                    self.claim(part).remove()
                except OSError as error:
                    raise output_error(part, error) from error

    def close(self, path: Path) -> None:
        """Let all parts go."""
        for part in (path, *part_files(path)):
            if part == path or not self._claims.names(part):
                self._claims.free(part)


class _StreamWriter:
    """The file of one stream, and its further parts."""

    def __init__(self, path: Path, about: OutputStream, settings: EncoderSettings, *, files: _Files, part: int) -> None:
        self._path, self._about, self._settings, self._files = path, about, settings, files
        self._part = part
        self._file: VideoFile | None = None
        self._coding: Coding | None = None
        self._said_size = self._said_hdr = False
        self._translated = False
        if part == 1:
            files.remove_further_parts(path)

    def write(self, frame: Frame, picture: Picture) -> None:
        coding = Coding.of(picture)
        if self._coding is not None and coding != self._coding and self._fitted(frame, picture):
            coding, picture = self._coding, self._coding.fit(picture)
        if self._file is not None and (coding != self._coding or not self._file.reaches(frame)):
            self._file.finish(whole_sound=False)
            self._part = self._files.next_part(self._path, self._part)
            self._file = None
            change = (
                f"the picture changes to {picture.width}x{picture.height}" if coding != self._coding else "time jumps"
            )
            log.warning(
                "%s: %s at frame %d; the video goes on in %s",
                self._about.stream_id, change, frame.index, self._part_path.name,
            )  # fmt: skip
        starts_late = self._about.starts_late or self._part > 1
        if self._file is None:
            self._file = self._open(frame, picture, starts_late=starts_late)
        self._coding = coding
        self._translated = picture is not frame.picture and coding.size != (frame.picture.height, frame.picture.width)
        try:
            self._file.write(frame, picture)
        except EncoderRefused as refused:
            if self._settings.encoder != "auto":
                raise
            say_fallback(str(self._part_path), refused.reason)
            self._settings = replace(self._settings, encoder=ON_CPU)  # for the further parts, too
            self._file = self._open(frame, picture, starts_late=starts_late)
            self._file.write(frame, picture)

    def _fitted(self, frame: Frame, picture: Picture) -> bool:
        """Whether a picture of another coding goes into the size of those before it: one of a file of its own, or
        the frame itself where it could not be translated into such a picture as those before."""
        if frame.file is not None:
            self._say_size(picture)
        return frame.file is not None or (self._translated and picture is frame.picture)

    def _say_size(self, picture: Picture) -> None:
        assert self._coding is not None
        height, width = self._coding.size
        if (picture.height, picture.width) == (height, width) or self._said_size:
            return
        self._said_size = True
        log.warning(
            "%s: the pictures have several sizes; in %s they are fitted into that of the first, %dx%d, with black bars"
            " (-o 'out/{name}.png' keeps each as it is)",
            self._about.stream_id, self._part_path.name, width, height,
        )  # fmt: skip

    def _say_hdr(self, picture: Picture) -> None:
        name = HDR_TRANSFERS.get(picture.tags.transfer)
        if name is None or self._said_hdr:
            return
        self._said_hdr = True
        log.warning(
            "%s: this is HDR video (%s); %s has 8 bits a sample, with the same colour tags, so that gradients may"
            " show steps",
            self._about.stream_id, name, self._part_path.name,
        )  # fmt: skip

    @property
    def _part_path(self) -> Path:
        return part_path(self._path, self._part)

    def _open(self, frame: Frame, picture: Picture, *, starts_late: bool) -> VideoFile:
        self._say_hdr(picture)
        audio = self._open_audio()
        first = frame_time(frame)
        shift = first if starts_late else _shift(frame, None if audio is None else audio.origin)
        return VideoFile(
            self._files.claim(self._part_path),
            frame,
            picture,
            settings=self._settings,
            audio=audio,
            shift=shift,
            audio_from=first if starts_late else None,
        )

    def _open_audio(self) -> AudioCopy | None:
        if not self._about.address:
            return None
        try:
            return AudioCopy(self._about.address)
        except SourceError as error:
            log.warning("%s has no sound: %s", self._part_path.name, error)
            return None

    def finish(self, reason: EndReason) -> None:
        if self._file is not None:
            self._file.finish(whole_sound=reason is EndReason.FINISHED and not self._about.ends_early)
            self._file = None


def _shift(first: Frame, origin: Fraction | None) -> Fraction:
    """Seconds to subtract so that the file begins near 0; none where the source does already.

    No picture may come before 0, where players would leave it out.
    """
    if origin is None:
        origin = frame_time(first) - Fraction(first.pts_ns, NANOSECONDS)
    return min(frame_time(first), Fraction(0) if abs(origin) < _KEPT_ORIGIN_S else origin)


def open_video(address: str, paths: dict[str, Path], settings: SinkSettings) -> Sink:
    """Video files; see :class:`~.kinds.SinkKind`."""
    return EncodeVideo(
        paths,
        streams=settings.streams,
        encoder=settings.encoder,
        preset=settings.preset,
        threads=settings.threads,
        picture=settings.picture,
        overwrite=settings.overwrite,
        so_far={stream: settings.so_far[path] for stream, path in paths.items() if path in settings.so_far},
        claims=settings.claims,
    )
