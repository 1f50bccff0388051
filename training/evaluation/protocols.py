"""How a model is set for being judged: our way, or the way of its authors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...models.resolve import ResolvedModel, resolve_model
from ...models.variant import Protocol, Published
from ...pipeline.errors import UsageError
from ...stages.inference.key_frames import PhasedInterval

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
        published: figures of the model's authors, to stand beside them.
    """

    name: str
    choices: dict[str, Any]
    phases: tuple[PhasedInterval, ...] | None
    notes: tuple[str, ...]
    published: tuple[Published, ...] = ()


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
        video = row.family().key_frames(row.name)
    if row.protocol is None:
        raise UsageError(f"no official protocol is known for {row.name}; leave the protocol out")
    return _official(row.protocol, row.published, video=video, notes=notes)


def without_scores(plan: Plan) -> Plan:
    """``plan`` of a model that finds no objects of which the best could be kept."""
    return replace(plan, choices={}, notes=("as it is used",))


def _official(protocol: Protocol, published: tuple[Published, ...], *, video: bool, notes: bool) -> Plan:
    said = [protocol.note if notes else _OWN]
    phases, interval = None, protocol.key_interval
    if video and interval is not None:
        phases = tuple(PhasedInterval(interval, phase) for phase in range(interval))
        said.append(
            f"official: {interval} passes with shifted key frames; annotated frames are judged as images, "
            "once in each pass"
        )
    return Plan(OFFICIAL, dict(protocol.settings), phases, tuple(said), published)
