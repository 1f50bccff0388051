"""Draws results on the pictures: the one drawing stage, from whatever the decoder gave to what encoders take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels import PIXEL_FORMATS, draw_boxes, draw_labels, draw_masks, draw_points, draw_segments
from ...pipeline.packet import Key, Packet
from ...pipeline.results.format import ResultKeys
from ...pipeline.stage import Stage
from ...pipeline.types.detections import Detections
from ...pipeline.types.landmarks import Landmarks
from ...pipeline.types.panoptic import PanopticMap, Segment
from ...pipeline.types.picture import Matrix, Picture
from ..sinks.addresses import detection_keys
from .draw_style import DrawStyle, color_of, colors_of, text_colors_on, text_mask
from .picture_pool import PicturePool
from .segment_style import colored_ids, name_places, segment_colors

ANNOTATED: Key[Picture] = Key("annotated", Picture)
"""The picture with the results drawn on it; the frame's own picture stays as it was."""

__all__ = ["ANNOTATED", "Draw", "DrawStyle", "color_of", "draw_rgb"]

_EIGHT_BITS = {
    "yuv420p10le": "yuv420p",
    "yuv422p10le": "yuv422p",
    "yuv444p10le": "yuv444p",
    "p010le": "nv12",
    "gray": "yuv420p",
}


class Draw(Stage):
    """Creates :data:`ANNOTATED`: segments, masks, boxes, points and labels on a copy of the picture.

    YUV stays YUV in its own chroma resolution, RGB stays RGB; more than 8 bits become 8, gray becomes
    ``yuv420p``. A frame without results is passed on as it is, without a copy. The copy's memory is used
    again when everybody has let go of the picture.

    Args:
        keys: where the results are, one entry for each model; what a packet does not have is not drawn.
        style: what to draw, and how large.
        needs: keys that have to be there before this stage; default: the detections of ``keys``.
        annotated: the key to create.
    """

    name = "draw"
    stateless = True

    def __init__(
        self,
        keys: Sequence[ResultKeys] = (ResultKeys(),),
        *,
        style: DrawStyle | None = None,
        needs: frozenset[Key[Any]] | None = None,
        annotated: Key[Picture] = ANNOTATED,
    ) -> None:
        self.style = style or DrawStyle()
        self._keys, self._annotated = tuple(keys), annotated
        self.reads: frozenset[Key[Any]] = detection_keys(keys) if needs is None else needs
        self.creates: frozenset[Key[Any]] = frozenset({annotated})
        self._pool = PicturePool()

    def process(self, packet: Packet) -> Iterable[Packet]:
        picture = packet.frame.picture
        if _has_results(packet, self._keys):
            canvas = _Canvas.copy_of(picture, self._pool)
            for keys in self._keys:
                canvas.draw(packet, keys, self.style)
            picture = canvas.picture(picture)
        yield packet.with_item(self._annotated, picture)


def draw_rgb(
    packet: Packet, keys: Sequence[ResultKeys] = (ResultKeys(),), *, style: DrawStyle | None = None
) -> NDArray[np.uint8]:
    """The frame with its results drawn on it: a new RGB array, uint8 [H, W, 3]."""
    canvas = _Canvas("rgb24", (packet.frame.picture.rgb().copy(),), "rgb", True)
    for one in keys:
        canvas.draw(packet, one, style or DrawStyle())
    return canvas.planes[0]


def _has_results(packet: Packet, keys: Sequence[ResultKeys]) -> bool:
    return any(
        len(detections or ()) + len(landmarks or ()) + len(panoptic.segments if panoptic else ())
        for detections, landmarks, panoptic in (_found(packet, one) for one in keys)
    )


def _found(packet: Packet, keys: ResultKeys) -> tuple[Detections | None, Landmarks | None, PanopticMap | None]:
    """What one model found in the frame."""
    detections = None if keys.detections is None else packet.get(keys.detections)
    landmarks = None if keys.landmarks is None else packet.get(keys.landmarks)
    panoptic = None if keys.panoptic is None else packet.get(keys.panoptic)
    return detections, landmarks, panoptic


@dataclass(frozen=True, slots=True)
class _Canvas:
    """Writable planes and how their samples mean colours."""

    format: str
    planes: tuple[NDArray[np.uint8], ...]
    matrix: Matrix
    full_range: bool

    @classmethod
    def copy_of(cls, picture: Picture, pool: PicturePool) -> _Canvas:
        """A copy of a picture that can be drawn on, in 8 bits."""
        name = _EIGHT_BITS.get(picture.format, picture.format)
        planes = pool.take(PIXEL_FORMATS[name].shapes(picture.height, picture.width))
        layout = PIXEL_FORMATS[picture.format]
        for source, target in zip(picture.planes, planes, strict=False):
            _copy_samples(source, target, shift=layout.bits - 8 + layout.low_bits)
        for chroma in planes[len(picture.planes) :]:  # of gray
            chroma.fill(128)
        gray = picture.format == "gray" and picture.matrix == "rgb"
        return cls(name, planes, "bt709" if gray else picture.matrix, picture.full_range)

    def picture(self, original: Picture) -> Picture:
        """What was drawn, as a picture; the canvas can no longer be drawn on."""
        return replace(original, format=self.format, planes=self.planes, matrix=self.matrix, full_range=self.full_range)

    def draw(self, packet: Packet, keys: ResultKeys, style: DrawStyle) -> None:
        """Draw one model's results: segments below masks below boxes below points below labels."""
        height, width = self.planes[0].shape[:2]
        detections, landmarks, panoptic = _found(packet, keys)
        if panoptic is not None and style.masks:
            draw_segments(*self._place, *colored_ids(panoptic), style.mask_opacity, **self._color)
        colors = None if detections is None else colors_of(detections.class_ids)
        if detections is not None and colors is not None and len(detections):
            if style.masks and detections.masks is not None:
                masks = detections.masks
                draw_masks(
                    *self._place, masks.boxes, masks.bits, masks.offsets, colors, style.mask_opacity, **self._color
                )
            if style.boxes:
                line = style.line_px(height, width)
                draw_boxes(*self._place, detections.boxes, colors, thickness=line, **self._color)
        if style.points and landmarks is not None and len(landmarks):
            self._draw_points(landmarks, style, radius=max(1.5, min(height, width) / 360))
        if style.labels and panoptic is not None:
            self._draw_names(panoptic, style)
        if style.labels and detections is not None and colors is not None and len(detections):
            self._draw_labels(detections, colors, style)

    def _draw_points(self, landmarks: Landmarks, style: DrawStyle, *, radius: float) -> None:
        rows, names = landmarks.points.shape[:2]
        shown = landmarks.scores.reshape(-1) >= style.min_point_score
        colors = colors_of(np.arange(1, names + 1).repeat(rows).reshape(names, rows).T.reshape(-1))
        points = landmarks.points.reshape(-1, 2)[shown]
        draw_points(*self._place, points, colors[shown], radius=radius, **self._color)

    def _draw_names(self, panoptic: PanopticMap, style: DrawStyle) -> None:
        size = style.text_px(*self.planes[0].shape[:2])
        places = name_places(panoptic)
        segments = tuple(panoptic.segments[row] for row, _, _ in places)
        masks = [text_mask(_segment_text(segment, style), size) for segment in segments]
        origins = [
            (x - mask.shape[1] // 2, y - mask.shape[0] // 2) for (_, x, y), mask in zip(places, masks, strict=True)
        ]
        self._draw_texts(masks, np.array(origins, np.int32).reshape(-1, 2), segment_colors(segments), style)

    def _draw_labels(self, detections: Detections, colors: NDArray[np.uint8], style: DrawStyle) -> None:
        height, width = self.planes[0].shape[:2]
        size = style.text_px(height, width)
        masks = [text_mask(text, size) for text in _texts(detections, style)]
        self._draw_texts(masks, _label_origins(detections.boxes, masks, width), colors, style)

    def _draw_texts(
        self,
        masks: Sequence[NDArray[np.uint8]],
        origins: NDArray[np.int32],
        colors: NDArray[np.uint8],
        style: DrawStyle,
    ) -> None:
        draw_labels(
            *self._place,
            masks,
            origins,
            colors=colors,
            text_colors=text_colors_on(colors),
            opacity=style.label_opacity,
            **self._color,
        )

    @property
    def _place(self) -> tuple[tuple[NDArray[np.uint8], ...], str]:
        return self.planes, self.format

    @property
    def _color(self) -> dict[str, Any]:
        return {"matrix": self.matrix, "full_range": self.full_range}


def _copy_samples(source: NDArray[Any], target: NDArray[np.uint8], *, shift: int) -> None:
    """Copy samples, rounded to 8 bits by dropping ``shift`` low ones."""
    if shift == 0:
        np.copyto(target, source)
        return
    rounded = (source >> shift) + (source >> (shift - 1) & 1)
    np.minimum(rounded, 255, out=target, casting="unsafe")


def _texts(detections: Detections, style: DrawStyle) -> list[str]:
    names, tracks = detections.class_names, detections.track_ids
    texts = [names[class_id] for class_id in detections.class_ids.tolist()]
    if style.scores:
        texts = [f"{text} {score:.2f}" for text, score in zip(texts, detections.scores.tolist(), strict=True)]
    if style.tracks and tracks is not None:
        texts = [f"{text} #{track}" if track >= 0 else text for text, track in zip(texts, tracks.tolist(), strict=True)]
    return texts


def _segment_text(segment: Segment, style: DrawStyle) -> str:
    score = "" if segment.score is None or not style.scores else f" {segment.score:.2f}"
    track = "" if segment.track_id is None or not style.tracks else f" #{segment.track_id}"
    return segment.class_name + score + track


def _label_origins(boxes: NDArray[np.float32], masks: Sequence[NDArray[np.uint8]], width: int) -> NDArray[np.int32]:
    """Where labels go, int32 [N, 2]: on top of their boxes, inside where there is no room above; within the width.

    Labels of boxes with the same corner stand below each other.
    """
    sizes = np.array([mask.shape for mask in masks], np.int64).reshape(-1, 2)
    corners = np.clip(np.nan_to_num(boxes[:, :2]), -(1 << 20), 1 << 20).astype(np.int64)
    x = np.maximum(np.minimum(corners[:, 0], width - sizes[:, 1]), 0)
    above = corners[:, 1] - sizes[:, 0]
    y = np.where(above >= 0, above, np.maximum(corners[:, 1], 0))
    taken: dict[tuple[int, ...], int] = {}
    for row, corner in enumerate(map(tuple, corners.tolist())):
        y[row] = taken.get(corner, int(y[row]))
        taken[corner] = int(y[row] + sizes[row, 0])
    return np.stack([x, y], axis=1).astype(np.int32)
