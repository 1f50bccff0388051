"""How a model is set for being judged: our way, or the way of its authors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...models.resolve import ResolvedModel, resolve_model
from ...pipeline.errors import UsageError
from ...stages.inference.key_frames import PUBLISHED_INTERVAL, PhasedInterval

DEFAULT, OFFICIAL = "default", "official"
_OWN = "the settings that the model was loaded with"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is set, and what a reader of the figures must know.

    Attributes:
        name: ``default`` or ``official``.
        choices: what the model is loaded with, as for ``load_model``.
        phases: one pass over every clip for each; None: one pass with the model's own key frames.
        notes: about the figures.
    """

    name: str
    choices: dict[str, Any]
    phases: tuple[PhasedInterval, ...] | None
    notes: tuple[str, ...]


MIN_SCORE = 0.02
"""Far below what anybody shows, so that no curve is cut off where it matters."""


def protocol_of(
    model: str | ResolvedModel,
    protocol: str,
    *,
    video: bool | None = None,
    notes: bool = True,
) -> Plan:
    """The protocol for a model.

    Args:
        model: its name, or what that means.
        protocol: ``default`` or ``official``.
        video: it has key and other frames; None: as the registry knows it.
        notes: False: the model is loaded, and the settings are its own.

    Raises:
        UsageError: there is no such protocol, or no official one of such a model.
    """
    if protocol == DEFAULT:
        said = f"detections that score more than {MIN_SCORE}, the best 100 of a frame" if notes else _OWN
        return Plan(DEFAULT, {"min_score": MIN_SCORE, "max_detections": 100}, None, (said,))
    if protocol != OFFICIAL:
        raise UsageError(f"unknown protocol {protocol!r}; known: {DEFAULT}, {OFFICIAL}")
    resolved = resolve_model(model)
    none = f"no official protocol is known for {resolved.given}, a custom model; leave the protocol out"
    row = resolved.built_in(none)
    if video is None:
        video = len(row.family().graphs(row.name)) > 1
    if row.folder == "yolact_edge":
        return _yolact(video, notes)
    if row.folder == "retinaface":
        said = "official: score 0.02, NMS 0.4, no limit; the authors give images in their own size (--size)"
        choices = {"min_score": 0.02, "nms_iou": 0.4, "max_detections": 5000}
        return Plan(OFFICIAL, choices, None, (said if notes else _OWN,))
    raise UsageError(f"no official protocol is known for {row.name}; leave the protocol out")


def _yolact(video: bool, notes: bool) -> Plan:
    said = ["official: score 0, Fast NMS, the best 100 of a frame, masks in the size of the frame" if notes else _OWN]
    phases = None
    if video:
        phases = tuple(PhasedInterval(PUBLISHED_INTERVAL, phase) for phase in range(PUBLISHED_INTERVAL))
        said.append(
            f"official: {PUBLISHED_INTERVAL} passes with shifted key frames; annotated frames are judged as images, "
            "once in each pass"
        )
    return Plan(OFFICIAL, {"min_score": 0.0, "max_detections": 100, "nms": "fast"}, phases, tuple(said))
