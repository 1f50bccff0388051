"""Pixel and box arithmetic: one folder per kernel, each with a C++ twin, a NumPy reference and a place for CUDA.

Kernels take and give NumPy arrays in host memory, run on the calling thread and release the GIL. Given arrays on a
device (:class:`DeviceArray`, all on one), they run there and give their results there, or say that there is no such
kernel; where an annotation says ``NDArray``, it is then a ``DeviceArray`` of that dtype.

The compiled code exists for several instruction sets and gives the same bits on each; :func:`instruction_set` says
which one runs, and ``VIDGRAPH_ISA=baseline|avx2|avx512`` in the environment caps it.
"""

from types import ModuleType as _Module

try:
    from ._native import instruction_set as instruction_set
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        f"{__path__[0]} is vidgraph's source, which is not compiled, and hides the installed vidgraph from a program"
        " beside it; run python -P (or set PYTHONSAFEPATH=1), or put the program into another folder"
    ) from _error
from .assemble_masks import *
from .best_classes import *
from .changed_blocks import *
from .class_nms import *
from .confident_rows import *
from .device import *
from .draw import *
from .draw_segments import *
from .eight_bits import *
from .exchange import *
from .fast_nms import *
from .label_map import *
from .label_runs import *
from .luma_means import *
from .mask_codes import *
from .nms import *
from .pixel_formats import *
from .preprocess import *
from .rotate import *
from .shade_surfaces import *
from .ssd import *
from .to_rgb import *
from .top_scores import *
from .warp_features import *

__all__ = sorted(name for name, found in globals().items() if name[0] != "_" and not isinstance(found, _Module))
