"""The kinds of outputs that are understood: one module each, one row each."""

from __future__ import annotations

from importlib import import_module

from ..head import Fitting

HEADS: dict[str, str] = {
    "yolo": ".yolo",
    "yolo-end2end": ".yolo_end2end",
    "detr": ".detr",
    "ssd": ".ssd",
    "semantic": ".semantic",
    "classify": ".classify",
    "raw": ".raw",
    "mask-queries": ".mask_queries",
    "mmdeploy": ".mmdeploy",
    "rtmo": ".rtmo",
    "torchvision": ".torchvision",
    "detectron2": ".detectron2",
    "yolox": ".yolox",
    "nanodet": ".nanodet",
    "picodet": ".picodet",
    "scrfd": ".scrfd",
    "yunet": ".yunet",
    "mediapipe-face": ".mediapipe_face",
    "ultraface": ".ultraface",
    "efficient-nms": ".efficient_nms",
    "damo-yolo": ".damo_yolo",
    "detection-output": ".detection_output",
    "paddle": ".paddle",
    "obb": ".obb",
    "mmrotate": ".mmrotate",
    "depth": ".depth",
    "matte": ".matte",
    "picture": ".picture",
    "embedding": ".embedding",
    "movenet": ".movenet",
    "heatmaps": ".heatmaps",
    "simcc": ".simcc",
    "mesh": ".mesh",
    "centernet": ".centernet",
}
"""Name -> module with ``fit``, imported when a file is looked at; see :mod:`..head`."""

WANTED: dict[str, str] = {
    "yolo": "one row for each place of its maps, [1, 4 + classes, rows] or [1, rows, 5 + classes]",
    "yolo-end2end": "rows [1, N, 6] of box, score and class",
    "detr": "boxes [1, N, 4] and logits [1, N, C], or labels, boxes and scores, or one output [1, N, 4 + C or 6]",
    "ssd": "boxes [1, P, 4] and scores [1, P, C], or labels, boxes and scores",
    "semantic": "one map [1, C, h, w]",
    "classify": "one output [1, C]",
    "raw": "any",
    "mask-queries": "classes [1, Q, C + 1] and masks [1, Q, h, w] of queries",
    "mmdeploy": "dets [1, N, 5] and labels [1, N], and perhaps masks [1, N, h, w]",
    "rtmo": "dets [1, N, 5] and keypoints [1, N, K, 3]",
    "torchvision": "boxes [N, 4], labels and scores [N], and perhaps masks [N, 1, h, w] as large as the input",
    "detectron2": "boxes [N, 4], classes and scores [N], and perhaps masks [N, 1, 28, 28]",
    "yolox": "rows [1, A, 5 + C] of a box that is not decoded, objectness and scores",
    "nanodet": "rows [1, A, C + 4 x 8] of scores and distances, or both apart for each of three maps",
    "picodet": "scores [1, A, C] and distances [1, A, 4 x 8] of each of four maps",
    "scrfd": "scores [A, 1], boxes [A, 4] and perhaps points [A, 10] of each of three or five maps",
    "yunet": "cls and obj [1, A, 1], bbox [1, A, 4] and kps [1, A, 10] of each of three maps",
    "mediapipe-face": "regressors [1, 896, 16] and classificators [1, 896, 1]",
    "ultraface": "boxes [1, P, 4] and scores [1, P, 2]",
    "efficient-nms": "num_dets [1, 1], det_boxes [1, N, 4], det_scores [1, N] and det_classes [1, N]",
    "damo-yolo": "boxes [1, A, 4] and scores [1, A, C] of a row for each cell",
    "detection-output": "rows [1, 1, N, 7] of image, class, score and box",
    "paddle": "rows [N, 6] of class, score and box, and perhaps their count",
    "obb": "oriented boxes [1, 4 + classes + 1, rows], or rows [1, N, 7] of box, score, class and angle",
    "mmrotate": "oriented boxes `dets` [1, N, 6] and `labels` [1, N]",
    "depth": "one map of depth, [1, h, w] or [1, 1, h, w]",
    "matte": "one map of the foreground, [1, 1, h, w] or [1, h, w, 1]",
    "picture": "one picture, [1, 3, h, w] or [1, h, w, 3], or of one channel",
    "embedding": "one vector [1, D]",
    "movenet": "points [1, 1, K, 3], or persons [1, N, 3 K + 5]",
    "heatmaps": "one map for each point, [1, K, h, w]",
    "simcc": "`simcc_x` [1, K, bins] and `simcc_y` [1, K, bins]",
    "centernet": "maps `hm` [1, C, h, w], `wh` and perhaps `reg` [1, 2, h, w]",
    "mesh": "K points of 3 or 5 numbers each, and one number that says how sure it is of them",
}
"""Name -> the outputs that it reads, for messages."""


OF_TASK: dict[str, tuple[str, ...]] = {
    "detect": (
        "yolo",
        "yolo-end2end",
        "detr",
        "ssd",
        "yolox",
        "nanodet",
        "picodet",
        "scrfd",
        "yunet",
        "mediapipe-face",
        "ultraface",
        "efficient-nms",
        "damo-yolo",
        "detection-output",
        "paddle",
        "centernet",
    ),
    "segment": ("yolo", "yolo-end2end"),
    "pose": ("yolo", "yolo-end2end"),
    "obb": ("obb", "mmrotate"),
    "classify": ("classify",),
    "semantic": ("semantic",),
    "depth": ("depth",),
    "matting": ("matte",),
    "picture": ("picture",),
    "embedding": ("embedding",),
    "pose by heatmaps": ("heatmaps",),
}
"""Task, as a file's metadata or the TOML say it -> the heads that may read it."""


def fitting(kind: str) -> Fitting:
    """The function ``fit`` of a head by its name, a key of ``HEADS``."""
    fit: Fitting = import_module(HEADS[kind], __package__).fit
    return fit
