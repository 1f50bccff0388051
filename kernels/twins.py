"""Which kernels there are for arrays on a device. In host memory, each wrapper calls the compiled module."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import ParamSpec, TypeVar

from .device import Device

P = ParamSpec("P")
R = TypeVar("R")

TWINS: dict[tuple[str, str], str] = {
    ("assemble_masks", "cuda"): ".assemble_masks.cuda",
    ("best_classes", "cuda"): ".best_classes.cuda",
    ("changed_blocks", "cuda"): ".changed_blocks.cuda",
    ("class_nms", "cuda"): ".class_nms.cuda",
    ("confident_rows", "cuda"): ".confident_rows.cuda",
    ("cross_class_fast_nms", "cuda"): ".fast_nms.cuda",
    ("decode_boxes", "cuda"): ".ssd.cuda",
    ("decode_points", "cuda"): ".ssd.cuda",
    ("draw_boxes", "cuda"): ".draw.cuda",
    ("draw_labels", "cuda"): ".draw.cuda",
    ("draw_masks", "cuda"): ".draw.cuda",
    ("draw_points", "cuda"): ".draw.cuda",
    ("draw_segments", "cuda"): ".draw_segments.cuda",
    ("eight_bits", "cuda"): ".eight_bits.cuda",
    ("expected_mask_iou", "cuda"): ".assemble_masks.cuda",
    ("fast_nms", "cuda"): ".fast_nms.cuda",
    ("label_map", "cuda"): ".label_map.cuda",
    ("label_runs", "cuda"): ".label_runs.cuda",
    ("luma_means", "cuda"): ".luma_means.cuda",
    ("nms", "cuda"): ".nms.cuda",
    ("preprocess", "cuda"): ".preprocess.cuda",
    ("rotate", "cuda"): ".rotate.cuda",
    ("shade_surfaces", "cuda"): ".shade_surfaces.cuda",
    ("to_rgb", "cuda"): ".to_rgb.cuda",
    ("top_scores", "cuda"): ".top_scores.cuda",
    ("traditional_nms", "cuda"): ".fast_nms.cuda",
    ("warp_features", "cuda"): ".warp_features.cuda",
}
"""(Kernel, kind of device) -> a module, relative to this folder or absolute, that has a function of the kernel's name.

It takes what the wrapper takes, checked, with every array on one device of that kind, and gives its results there."""


def twin_module(kernel: str, device: Device) -> str:
    """The row of ``TWINS`` for a kernel and a device.

    Raises:
        ValueError: there is none.
    """
    module = TWINS.get((kernel, device.kind))
    if module is None:
        raise ValueError(f"{kernel}: there is no such kernel for arrays on {device}; copy them with .to_host()")
    return module


def twin(wrapper: Callable[P, R], device: Device) -> Callable[P, R]:
    """The kernel of a wrapper for arrays on ``device``.

    Raises:
        ValueError: there is none.
    """
    name = wrapper.__name__
    found: Callable[P, R] = getattr(import_module(twin_module(name, device), __package__), name)
    return found
