"""What CV-CUDA has of the same: a network's input from NV12, and suppression of one class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def streamed(cvcuda: Any, stream: Any) -> Any:
    """A context in which its operators run on a torch stream."""
    wrap = getattr(cvcuda, "as_stream", None)
    return (wrap or cvcuda.cuda.as_stream)(stream)


def preprocess(cvcuda: Any, torch: Any, planes: tuple[Any, Any], side: int) -> Callable[[], Any]:
    """RGB [1, 3, side, side], 0..255, as a call; the planes are torch's."""
    height, width = planes[0].shape
    nv12 = torch.cat([planes[0], planes[1].reshape(height // 2, width)])[None, :, :, None].contiguous()
    given = cvcuda.as_tensor(nv12, "NHWC")

    def call() -> Any:
        rgb = cvcuda.cvtcolor(given, cvcuda.ColorConversion.YUV2RGB_NV12)
        resized = cvcuda.resize(rgb, (1, side, side, 3), cvcuda.Interp.LINEAR)
        return cvcuda.reformat(cvcuda.convertto(resized, np.float32), "NCHW")

    return call


def suppress(cvcuda: Any, boxes: Any, scores: Any, max_iou: float) -> Callable[[], Any]:
    """Which boxes are kept, as a call; int16 [N, 4], x, y, width, height, and float32 [N]."""
    given, ranked = cvcuda.as_tensor(boxes[None].contiguous()), cvcuda.as_tensor(scores[None, :, None].contiguous())
    return lambda: cvcuda.nms(given, ranked, 0.0, max_iou)


def numpy_of(torch: Any, tensor: Any) -> Any:
    """A result in host memory."""
    return torch.as_tensor(tensor.cuda(), device="cuda").cpu().numpy()
