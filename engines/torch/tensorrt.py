"""Exported programs compiled by Torch-TensorRT when they are opened; torch runs what TensorRT does not take.

Source: the documentation of ``torch_tensorrt.dynamo.compile``.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from ...kernels.device import HOST, Device
from ...pipeline.errors import EngineError
from ..spec import EngineDescription, EngineOptions, NetworkRefused, shortened
from .archive import read_program
from .engine import FORKS, Program, TorchEngine, no_memory, specs_of
from .open import place_of


def describe() -> EngineDescription:
    """Version, devices and precisions; asks neither the driver nor the card."""
    return EngineDescription(str(_imported().__version__), ("cuda",), ("fp32",))


def open_network(path: Path, options: EngineOptions) -> TorchEngine:
    """Open a file of ``torch.export.save``, and compile it for the card.

    Raises:
        EngineError: as of :func:`.open.open_network`; Torch-TensorRT cannot be imported; or the precision is not fp32.
        NetworkRefused: it cannot be compiled.
    """
    name, device = path.name, Device.of(options.device)
    if device == HOST:
        raise AssertionError("its row says that it runs on cards")
    FORKS.begin(name)
    place = place_of(name, options)
    compiler = _imported()
    exported, metadata = read_program(path)
    inputs, outputs = specs_of(name, exported, metadata)
    if options.precision not in ("auto", "fp32"):
        raise EngineError(
            f"{name}: precision {options.precision!r} is not available with torch-tensorrt, which runs fp32 here; "
            f"engine tensorrt has fp16 and int8"
        )
    shapes = [compiler.Input(spec.shape, dtype=getattr(torch, str(spec.dtype))) for spec in inputs]
    try:
        compiled = compiler.dynamo.compile(
            exported, inputs=shapes, device=compiler.Device(gpu_id=device.index), disable_tf32=True
        )
    except torch.OutOfMemoryError as error:
        raise no_memory(name, error) from error
    except Exception as error:  # it documents no types
        raise NetworkRefused(f"cannot compile {name} with torch-tensorrt", shortened(str(error))) from error

    def call(tensors: Any) -> list[Any]:
        answers = compiled(*tensors)
        return list(answers) if isinstance(answers, tuple | list) else [answers]

    return TorchEngine("torch-tensorrt", name, Program(call, inputs, outputs, "fp32"), place, options)


def _imported() -> Any:
    """
    Raises:
        EngineError: it is installed and cannot be imported.
    """
    try:
        return import_module("torch_tensorrt")
    except (ImportError, OSError, RuntimeError) as error:  # without libnvinfer or a driver
        raise EngineError(
            f"Torch-TensorRT cannot be imported ({shortened(str(error), 120)}): its libraries or the driver are "
            f"missing, or it is made for another version of torch; install both again. Use device cpu"
        ) from error
