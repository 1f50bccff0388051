"""What a user may say about synthetic scenes, and the splits that are fixed once and for all."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from ....pipeline.errors import UsageError

THINGS = ("person", "car", "bicycle", "ball", "animal")
STUFF = ("road", "pavement", "building", "sky", "vegetation")
"""Classes; a panoptic map numbers the things first."""

VERSION = 1
"""Goes up whenever the same address would give other pixels or another truth."""

NAMES = ("street", "faces")
DIFFICULTIES = ("easy", "hard", "mixed")


@dataclass(frozen=True, slots=True)
class SyntheticSettings:
    """One drawn video, or several that differ in nothing but their number.

    Attributes:
        name: ``street``, or ``faces``: people close up more often than not.
        seed: everything follows from it and from the number of the clip.
        size: (height, width) in pixels.
        frames: of each clip.
        rate: frames per second.
        difficulty: ``easy``, ``hard``, or ``mixed``: each shot is one or the other.
        clips: how many.
        first: number of the first clip.
        shot_s: mean seconds between scene cuts.
        flow: the truth has the flow too, for which every frame is drawn twice.
        still: the camera stands where it would be in the middle of the shot, and does not shake.
    """

    name: str = "street"
    seed: int = 0
    size: tuple[int, int] = (720, 1280)
    frames: int = 250
    rate: float = 25.0
    difficulty: str = "mixed"
    clips: int = 1
    first: int = 0
    shot_s: float = 4.0
    flow: bool = False
    still: bool = False

    @property
    def address(self) -> str:
        """The address that stands for exactly these settings."""
        height, width = self.size
        return (
            f"synth:{self.name}?seed={self.seed}&size={width}x{height}&frames={self.frames}&rate={self.rate:g}"
            f"&difficulty={self.difficulty}&clips={self.clips}&first={self.first}&shot={self.shot_s:g}"
            f"{'&flow=1' if self.flow else ''}{'&still=1' if self.still else ''}"
        )


_SPLIT = SyntheticSettings(frames=20, clips=24, shot_s=3.0)

SPLITS: dict[str, SyntheticSettings] = {
    "easy": replace(_SPLIT, seed=7_000_001, difficulty="easy"),
    "hard": replace(_SPLIT, seed=7_000_002, difficulty="hard"),
    "faces": replace(_SPLIT, name="faces", seed=7_000_003, frames=10),
    "train": SyntheticSettings(seed=1, frames=5, clips=1600, shot_s=1000.0),
    "train-faces": SyntheticSettings(name="faces", seed=2, frames=2, clips=1000, shot_s=1000.0),
}
"""``easy``, ``hard`` and ``faces`` are for judging only; they were fixed before anything was trained."""


def is_synthetic(address: str) -> bool:
    """Whether an address means synthetic scenes."""
    return address.lower().startswith("synth:")


def parse_synthetic(address: str) -> SyntheticSettings:
    """``synth:street?seed=7&size=1280x720&frames=250``, ``synth:street?split=hard``.

    Raises:
        UsageError: an unknown name or option, or a value that is none; with what is possible.
    """
    name, _, query = address.partition(":")[2].partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    split = options.pop("split", None)
    if name not in NAMES:
        raise UsageError(
            f"{address}: there is no synthetic scene {name!r}; there are {', '.join(f'synth:{n}' for n in NAMES)}"
        )
    settings = SyntheticSettings(name=name)
    if split is not None:
        if split not in SPLITS:
            raise UsageError(f"{address}: unknown split {split!r}; known: {', '.join(SPLITS)}")
        settings = SPLITS[split]
    changes: dict[str, Any] = {_FIELDS.get(key, key): _value(address, key, text) for key, text in options.items()}
    return replace(settings, **changes)


_FIELDS = {"shot": "shot_s"}
_WHOLE = {"seed": 0, "frames": 1, "clips": 1, "first": 0}
_MIN_SIDE, _MAX_SIDE = 64, 4096


def _value(address: str, key: str, text: str) -> object:
    if key in _WHOLE and re.fullmatch(r"\d{1,9}", text) and int(text) >= _WHOLE[key]:
        return int(text)
    if key in ("rate", "shot") and re.fullmatch(r"\d+(\.\d+)?", text) and 0.1 <= float(text) <= 1000:
        return float(text)
    if key == "size" and (sides := re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)):
        width, height = int(sides[1]), int(sides[2])
        if min(width, height) >= _MIN_SIDE and max(width, height) <= _MAX_SIDE:
            return height, width
    if key == "difficulty" and text in DIFFICULTIES:
        return text
    if key in ("flow", "still") and text in ("0", "1"):
        return text == "1"
    if key not in (*_WHOLE, "rate", "shot", "size", "difficulty", "flow", "still"):
        raise UsageError(
            f"{address}: unknown option {key!r}; known: seed, size, frames, rate, difficulty, clips, first, shot, "
            "flow, still, split"
        )
    wanted = {
        "size": f"WIDTHxHEIGHT, each side from {_MIN_SIDE} to {_MAX_SIDE}",
        "difficulty": ", ".join(DIFFICULTIES),
        "flow": "0 or 1",
        "still": "0 or 1",
        "rate": "frames per second from 0.1 to 1000",
        "shot": "seconds from 0.1 to 1000",
    }.get(key, f"a whole number from {_WHOLE.get(key, 0)}")
    raise UsageError(f"{address}: {key} must be {wanted}, got {text!r}")
