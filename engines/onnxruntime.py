"""Networks on ONNX Runtime: the reference, the engine of machines without OpenVINO, and of cards without TensorRT.

The one module that imports ``onnxruntime``; :mod:`.onnxruntime_card` has what is different on a card. Nothing is
cached: opening RetinaFace MobileNet0.25 takes 11 ms, from its own optimised file 3 ms, which does not pay for a file
per machine and version.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.device import HOST, Device, Tensor
from ..pipeline.errors import EngineError
from .onnx_file import external_files, is_quantised, network_digest, read_network
from .pool import Pool
from .spec import (
    NOT_QUANTISED,
    Array,
    EngineDescription,
    EngineOptions,
    NetworkRefused,
    Port,
    TensorSpec,
    check_feeds,
    check_quantised,
    fixed_spec,
    shortened,
)

if TYPE_CHECKING:
    from onnx import ModelProto

    from .onnxruntime_card import OnnxRuntimeCardEngine


def _import_quietly() -> ModuleType:
    """Import ONNX Runtime without its telemetry.

    Unless this variable is set before its library is loaded, it writes an identifier and a database
    of events into the cache folder and sends them; its own call to turn that off comes too late.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    module: ModuleType = onnxruntime
    return module


ort = _import_quietly()
ONLY_FATAL = 4  # its errors are raised as well; nothing is printed beside them
_DTYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
    "tensor(int8)": np.int8, "tensor(int16)": np.int16, "tensor(int32)": np.int32, "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8, "tensor(uint16)": np.uint16, "tensor(uint32)": np.uint32, "tensor(uint64)": np.uint64,
    "tensor(bool)": np.bool_,
}  # fmt: skip


def describe() -> EngineDescription:
    """Version, devices and precisions here; on a card also fp16."""
    if "CUDAExecutionProvider" in ort.get_available_providers():
        return EngineDescription(str(ort.__version__), ("cpu", "cuda"), ("fp32", "fp16", "int8"))
    return EngineDescription(str(ort.__version__), ("cpu",), ("fp32", "int8"))


def open_network(path: Path, options: EngineOptions) -> OnnxRuntimeEngine | OnnxRuntimeCardEngine:
    """Open an ONNX file.

    Raises:
        EngineError: the file cannot be read, has no fixed shapes, or the precision is not the graph's own; on a card
            also as :func:`.onnxruntime_card.open_on_card`.
        NetworkRefused: it has an operator that ONNX Runtime does not know, or the like.
    """
    model = read_network(path)
    digest = network_digest(path, external_files(model))  # says in one line what is wrong with the files
    quantised = is_quantised(model)
    if quantised:
        check_quantised(path.name, options.precision)
    elif options.precision == "int8":
        raise EngineError(NOT_QUANTISED.format(path.name))
    if Device.of(options.device) != HOST:
        from .onnxruntime_card import open_on_card

        return open_on_card(path, model, digest, options, quantised=quantised)
    try:
        session = ort.InferenceSession(str(path), session_options(options), providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base of their own
        raise NetworkRefused(f"cannot open {path.name} with onnxruntime", one_line(error)) from error
    return OnnxRuntimeEngine(path.name, session, options, quantised=quantised)


def open_exact(name: str, model: ModelProto, options: EngineOptions) -> OnnxRuntimeEngine:
    """Open a network of fp32 whose every node is run as it stands: nothing is folded, fused or left out.

    Args:
        name: what messages call it.
        model: the network, with all its weights in it.

    Raises:
        NetworkRefused: as :func:`open_network`.
    """
    chosen = session_options(options)
    chosen.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(model.SerializeToString(), chosen, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base of their own
        raise NetworkRefused(f"cannot open {name} with onnxruntime", one_line(error)) from error
    return OnnxRuntimeEngine(name, session, options)


def read_ports(path: Path, name: str) -> tuple[Port, ...]:
    """The outputs of an ONNX file, with the shapes that ONNX Runtime infers.

    Raises:
        EngineError: the file cannot be read; it is called ``name``.
    """
    chosen = session_options(EngineOptions())
    chosen.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC  # folds what shapes are made of
    try:
        outputs = ort.InferenceSession(str(path), chosen, providers=["CPUExecutionProvider"]).get_outputs()
    except Exception as error:  # its exceptions have no common base of their own
        raise NetworkRefused(f"cannot read {name} with onnxruntime", one_line(error)) from error
    return tuple(Port(port.name, port.type, _lengths(port.shape)) for port in outputs)


def _lengths(shape: list[int | str | None]) -> tuple[int | None, ...] | None:
    """None where it is empty: ONNX Runtime gives that for a shape that it does not know."""
    return tuple(length if isinstance(length, int) else None for length in shape) or None


def session_options(options: EngineOptions) -> Any:
    """``SessionOptions`` of every session: nothing spins, nothing is printed."""
    chosen = ort.SessionOptions()
    chosen.intra_op_num_threads = options.threads_per_request
    chosen.inter_op_num_threads = 1
    chosen.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning starves decoder and encoder
    chosen.use_deterministic_compute = True
    chosen.log_severity_level = ONLY_FATAL
    return chosen


def one_line(error: Exception) -> str:
    """What ONNX Runtime says, without the places of its sources."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(str(error).split()))
    text = re.sub(r"^Load model from .*? failed:\s*", "", text)
    text = re.sub(r"^/\S+:\d+ .*?\) (?=[A-Z])", "", text)  # the function of its sources that says so
    return shortened(text) or type(error).__name__


def _spec(name: str, port: Any) -> TensorSpec:
    dtype = _DTYPES.get(port.type)
    if dtype is None:
        raise NetworkRefused(f"cannot open {name}", f"{port.name!r} is a {port.type}, which NumPy does not have")
    return fixed_spec(name, port.name, dtype, port.shape)


def specs_of(name: str, session: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs of a session.

    Raises:
        EngineError: of the network ``name``: a shape is open.
        NetworkRefused: a type is none of NumPy's.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    return tuple(_spec(name, port) for port in inputs), tuple(_spec(name, port) for port in outputs)


def check_graph_precision(name: str, own: str, asked: str) -> None:
    """
    Raises:
        EngineError: another precision than the graph's ``own`` is ``asked`` for.
    """
    if asked not in ("auto", own):
        raise EngineError(
            f"{name}: precision {asked!r} is not available with onnxruntime, which computes in the precision of the "
            f"graph: {own}"
        )


class OnnxRuntimeEngine:
    """A network run by ONNX Runtime; see :class:`vidgraph.engines.Engine`. Its outputs are new arrays every time."""

    engine = "onnxruntime"

    def __init__(self, name: str, session: Any, options: EngineOptions, *, quantised: bool = False) -> None:
        self.name, self.device = name, options.device
        self.inputs, self.outputs = specs_of(name, session)
        self.precision = "int8" if quantised else self._float_precision()
        check_graph_precision(name, self.precision, options.precision)
        self._output_names = [spec.name for spec in self.outputs]
        self._sessions = Pool(name, [session] * options.requests)  # one session, so many callers at a time

    def _float_precision(self) -> str:
        return "fp16" if any(spec.dtype == np.float16 for spec in self.inputs) else "fp32"

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Array]:
        """Run the network once.

        Raises:
            EngineError: the feeds do not fit, the engine is closed, or ONNX Runtime fails.
        """
        feeds = check_feeds(self.name, self.inputs, feeds)
        with self._sessions.take() as session:
            try:
                answers = session.run(self._output_names, {name: np.ascontiguousarray(a) for name, a in feeds.items()})
            except Exception as error:  # its exceptions have no common base of their own
                raise EngineError(f"{self.name}: onnxruntime failed: {one_line(error)}") from error
        return dict(zip(self._output_names, answers, strict=True))

    def close(self) -> None:
        """Wait for runs under way and free the network; may be called twice."""
        self._sessions.close()
