"""Results as YouTube-VIS results: objects through a whole video, one run-length code or null for each frame."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TextIO

from ..errors import ResultsError
from .format import dumps
from .masks import mask_of
from .reader import Results
from .record import SCORE_DECIMALS, Record


@dataclass(slots=True)
class _Track:
    """One object of one stream: frame position -> score and mask."""

    stream: str
    category: int
    scores: list[float] = field(default_factory=list)
    masks: dict[int, Record] = field(default_factory=dict)


def write_youtube_vis(results: Results, file: TextIO) -> None:
    """A list of ``{video_id, category_id, score, segmentations}``, as the YouTube-VIS evaluation reads it.

    Videos are numbered from 1 in the order of the results' sources, categories as the class ids from 1,
    frames in the order of their lines. An object without a track is one of its own, seen in one frame.
    The score is the mean over the frames in which the object was seen.

    Raises:
        ResultsError: an object has no mask, or there are segments, which are no objects through a video.
    """
    lengths: dict[str, int] = {}
    tracks: dict[tuple[str, int | str], _Track] = {}
    for record in results:
        place = lengths.get(record.stream, 0)
        lengths[record.stream] = place + 1
        if "segments" in record.data:
            raise ResultsError(f"{record.where}: YouTube-VIS results hold no segments; convert these to coco")
        for number, item in enumerate(record.rows()):
            if "mask" not in item:
                raise ResultsError(f"{record.where}: an object has no mask, which YouTube-VIS results need")
            name: int | str = item.get("track", f"{place}.{number}")
            category = int(item.get("class_id", 0)) + 1
            track = tracks.setdefault((record.stream, name), _Track(record.stream, category))
            track.scores.append(float(item.get("score", 1.0)))
            track.masks[place] = mask_of(record, item)[0]
    numbers = {stream: number for number, stream in enumerate(lengths, start=1)}
    file.write("[")
    for place, track in enumerate(tracks.values()):
        file.write((",\n" if place else "") + _line(track, numbers[track.stream], lengths[track.stream]))
    file.write("]\n")


def _line(track: _Track, number: int, length: int) -> str:
    """One object; written by hand, because records know no null."""
    score = round(statistics.fmean(track.scores), SCORE_DECIMALS)
    about = dumps({"video_id": number, "category_id": track.category, "score": score})
    masks = (dumps(track.masks[place]) if place in track.masks else "null" for place in range(length))
    return f'{about[:-1]},"segmentations":[{",".join(masks)}]}}'
