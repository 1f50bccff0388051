"""Pixel and box arithmetic: one folder per kernel, each with a C++ twin, a NumPy reference and a place for CUDA.

Kernels take and give NumPy arrays in host memory, run on the calling thread and release the GIL. Given arrays on a
device (:class:`DeviceArray`, all on one), they run there and give their results there, or say that there is no such
kernel; where an annotation says ``NDArray``, it is then a ``DeviceArray`` of that dtype.

The compiled code exists for several instruction sets and gives the same bits on each; :func:`instruction_set` says
which one runs, and ``VIDGRAPH_ISA=baseline|avx2|avx512`` in the environment caps it.
"""

from __future__ import annotations

from ._native import instruction_set
from .assemble_masks import assemble_masks, expected_mask_iou
from .best_classes import best_classes
from .class_nms import class_nms
from .confident_rows import confident_rows
from .device import HOST, Device, DeviceArray, Tensor, to_device
from .draw import draw_boxes, draw_labels, draw_masks, draw_points
from .draw_segments import draw_segments
from .exchange import device_array
from .fast_nms import cross_class_fast_nms, fast_nms, traditional_nms
from .label_map import label_map
from .label_runs import label_runs
from .mask_codes import encode_runs, mask_outlines, rle_counts
from .nms import nms
from .pixel_formats import PIXEL_FORMATS, PlaneLayout
from .preprocess import preprocess
from .rotate import rotate
from .shade_surfaces import SurfaceTable, shade_surfaces
from .ssd import decode_boxes, decode_points, ssd_priors
from .to_rgb import to_rgb
from .top_scores import top_scores
from .warp_features import warp_features

__all__ = [
    "HOST",
    "PIXEL_FORMATS",
    "Device",
    "DeviceArray",
    "PlaneLayout",
    "SurfaceTable",
    "Tensor",
    "assemble_masks",
    "best_classes",
    "class_nms",
    "confident_rows",
    "cross_class_fast_nms",
    "decode_boxes",
    "decode_points",
    "device_array",
    "draw_boxes",
    "draw_labels",
    "draw_masks",
    "draw_points",
    "draw_segments",
    "encode_runs",
    "expected_mask_iou",
    "fast_nms",
    "instruction_set",
    "label_map",
    "label_runs",
    "mask_outlines",
    "nms",
    "preprocess",
    "rle_counts",
    "rotate",
    "shade_surfaces",
    "ssd_priors",
    "to_device",
    "to_rgb",
    "top_scores",
    "traditional_nms",
    "warp_features",
]
