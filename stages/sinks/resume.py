"""Where a run that goes on begins: after the last frame that all of its outputs have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...pipeline.claims import Claims
from ...pipeline.errors import UsageError
from ...pipeline.results.reader import last_key_frames, read_results, results_end
from ..sources.peekable import SeenFrames
from .addresses import last_number, part_files
from .kinds import kind_of
from .named_files import Names
from .video_so_far import Line, VideoSoFar, video_so_far

Files = Mapping[str, Mapping[str, Path]]
"""The file of each stream, by output address."""


def videos_so_far(files: Files, claims: Claims) -> dict[Path, VideoSoFar]:
    """What the videos hold that are there, by their first part.

    Raises:
        UsageError: no results are written, whose lines tell the frames.
        OutputError: a video cannot be gone on with.
        ResultsError: the results are damaged.
    """
    if not any(kind_of(address).is_results for address in files):
        raise UsageError("--resume goes on after the last line of results; name their .jsonl file with -o")
    found = {}
    for address, paths in files.items():
        for stream, path in paths.items() if kind_of(address).in_parts else ():
            parts = [part for part in part_files(path) if not claims.names(part)]
            if path.exists() or parts:
                found[path] = video_so_far(path, [path, *parts] if path.exists() else parts, _lines(files, stream))
    return found


def _lines(files: Files, stream: str) -> Sequence[Line]:
    """The frames of a stream, from the results that are furthest."""
    furthest: list[Line] = []
    for path in _results_of(files, stream):
        found = [
            Line(record.index, record.time_s, record.shown_size, record.dropped is not None)
            for record in read_results(path).frames(ended_lines_only=True)
            if record.stream == stream
        ]
        furthest = max(furthest, found, key=len)
    return furthest


def _results_of(files: Files, stream: str) -> list[Path]:
    """The files with results of a stream in which something is written."""
    named = [paths[stream] for address, paths in files.items() if kind_of(address).is_results if stream in paths]
    return [path for path in named if path.exists() and path.stat().st_size]


def last_frames(files: Files, videos: Mapping[Path, VideoSoFar], names: Mapping[str, Names]) -> dict[str, int]:
    """The last frame of each stream that all of its files have; -1: none, or one of them is not there.

    Args:
        names: what ``{name}`` stands for, by output address.

    Raises:
        ResultsError: the results are damaged.
    """
    last: dict[str, int] = {}
    for address, paths in files.items():
        ends: dict[Path, Mapping[str, int]] = {}
        for stream, path in paths.items():
            kind = kind_of(address)
            if kind.numbered:
                number = last_number(path, names[address].get(stream, ()))
                have = -1 if number is None else number
            elif kind.in_parts:
                have = videos.get(path, VideoSoFar()).last_frame
            else:
                if path not in ends:
                    ends[path] = results_end(path).last_frame if path.exists() and path.stat().st_size else {}
                have = ends[path].get(stream, -1)
            last[stream] = min(last.get(stream, have), have)
    return last


def needed_frames(files: Files, after: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """By stream, the last key frame and the last frame of a video model, where results have them."""
    needed: dict[str, tuple[int, ...]] = {}
    for address, paths in files.items() if any(last >= 0 for last in after.values()) else ():
        for path in set(paths.values()) if kind_of(address).is_results else ():
            for stream, frames in last_key_frames(path, after).items():
                needed[stream] = tuple(dict.fromkeys(frames))
    return needed


def seen_frames(files: Files, stream: str, after: int) -> SeenFrames:
    """What a run that goes on after the frame ``after`` did with those before it, as results say it.

    Raises:
        ResultsError: the results are damaged.
    """
    epoch, first, dropped = None, 0, dict[int, str]()
    for path in _results_of(files, stream)[:1]:
        for record in read_results(path).frames(ended_lines_only=True):
            if record.stream != stream or record.index > after:
                continue
            if record.epoch != epoch:
                epoch, first, dropped = record.epoch, record.index, {}
            if record.dropped is not None:
                dropped[record.index] = record.dropped
    return SeenFrames(first, dropped)
