"""Networks on OpenVINO: the default engine on a CPU.

How requests are spread over cores (RetinaFace MobileNet0.25 at 640x384, bf16, 2 cores, wall ms a request
with as many calling threads as requests): one compiled network with one stream per request and no
pinning 3.9; the same with pinning 4.1; one compiled network per thread 4.1 without pinning and 7.9 with
it (all pin themselves to the first core); one request on both cores 4.4; the LATENCY hint 6.0. So one
network, one stream per request, never pinned: its threads share the cores with decoder and encoder.

Compiled networks are cached in our own files, because OpenVINO's cache has no bound and no lock. Opening
RetinaFace MobileNet0.25 (2 MB) takes 55 ms instead of 213; with a ResNet-50 (94 MB) reading and checking
the files takes as long as compiling (380 CPU ms instead of 408).
"""

from __future__ import annotations

import logging
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..kernels.arrays import lent
from ..kernels.device import Tensor
from ..pipeline.errors import EngineError
from .cache import discard, find_or_build, key_of
from .compare import random_feeds
from .forks import ForkGuard
from .interface import Interface, read_interface
from .network_file import ONNX, kind_of
from .onnx_file import external_files, is_quantised, network_digest, read_network
from .openvino_core import core as _core, ov
from .openvino_errors import one_line
from .openvino_file import facts_of, lengths_of, read_file
from .pool import Pool
from .processor import processor
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
)

LOG = logging.getLogger("vidgraph")
_FORKS = ForkGuard("OpenVINO", instead=", or use engine='onnxruntime'")
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_DTYPES = frozenset({"f16", "f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "boolean"})
"""Element types that NumPy has too."""


@lru_cache(maxsize=1)
def available_precisions() -> tuple[str, ...]:
    """What this processor computes natively; ``int8`` needs a network that was quantised."""
    able = set(_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    precisions = ["fp32"]
    if "BF16" in able and processor().may_have_bf16:  # OpenVINO also says BF16 where it only emulates it
        precisions.append("bf16")
    if "FP16" in able:
        precisions.append("fp16")
    if "INT8" in able:
        precisions.append("int8")
    return tuple(precisions)


def describe() -> EngineDescription:
    """Version, devices and precisions here."""
    return EngineDescription(str(ov.__version__).split("-")[0], ("cpu",), available_precisions())


def open_network(path: Path, options: EngineOptions) -> OpenVINOEngine:
    """Compile a network (an ONNX file, an OpenVINO IR, a TensorFlow Lite file), or take it from the cache, compiled.

    Raises:
        EngineError: the file cannot be read, has no fixed shapes, or the precision is not available; or this process
            was forked after OpenVINO had been used.
        NetworkRefused: OpenVINO cannot compile it.
    """
    _FORKS.begin(path.name)
    quantised, digest, interface = _facts(path)
    precision = _choose_precision(path.name, options.precision, quantised=quantised)
    if precision != "int8":
        compiled = _compile_cached(path, digest, precision, precision, options)
    else:
        compiled = _compile_quantised(path, digest, options)
    return OpenVINOEngine(path.name, compiled, interface, options=options, precision=precision)


def _facts(path: Path) -> tuple[bool, str, Interface]:
    """Whether a network is quantised, the hash of its files, and what it calls its inputs and outputs."""
    if kind_of(path) != ONNX:
        return facts_of(path)
    model = read_network(path)  # freed on return: the weights in it are read again
    return is_quantised(model), network_digest(path, external_files(model)), read_interface(model)


def read_ports(path: Path, name: str) -> tuple[Port, ...]:
    """The outputs of an ONNX file, with the shapes that OpenVINO infers; nothing is compiled.

    Raises:
        EngineError: the file cannot be read; it is called ``name``.
    """
    names = read_interface(read_network(path)).outputs
    try:
        outputs = _core().read_model(str(path)).outputs
    except (RuntimeError, UnicodeDecodeError) as error:
        raise NetworkRefused(f"cannot read {name} with openvino", one_line(error)) from error
    if len(outputs) != len(names):
        raise NetworkRefused(f"cannot read {name} with openvino", f"it finds {len(outputs)} outputs of {len(names)}")
    return tuple(
        Port(known, port.element_type.get_type_name(), lengths_of(port))
        for known, port in zip(names, outputs, strict=True)
    )


def _choose_precision(name: str, asked: str, *, quantised: bool) -> str:
    available = available_precisions()
    if quantised:
        check_quantised(name, asked)
        asked = "int8" if "int8" in available else asked
    elif asked == "int8":
        raise EngineError(NOT_QUANTISED.format(name))
    if asked == "auto":
        return _best_float()
    if asked not in available:
        raise EngineError(
            f"{name}: precision {asked!r} is not native to this processor ({processor().model}); "
            f"openvino has {', '.join(available)} here"
        )
    return asked


def _best_float() -> str:
    return "bf16" if "bf16" in available_precisions() else "fp32"


def _configuration(precision: str, rest: str, options: EngineOptions) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": _HINTS[rest],
        "EXECUTION_MODE_HINT": "ACCURACY" if precision == "fp32" else "PERFORMANCE",
        "NUM_STREAMS": options.requests,
        "INFERENCE_NUM_THREADS": options.requests * options.threads_per_request,
        "ENABLE_CPU_PINNING": False,
    }


def _compile_quantised(path: Path, digest: str, options: EngineOptions) -> Any:
    """A quantised network, with the rest in bf16 where that is native.

    OpenVINO 2026.4 cannot compile every such network ("No suitable implementations", for the head of a pyramid
    that runs on two levels or more); with the rest in fp32 it can.
    """
    if _best_float() == "bf16":
        try:
            return _compile_cached(path, digest, "int8", "bf16", options)
        except EngineError as error:
            LOG.debug("%s; compiling it again with fp32 for what is not int8", error)
    return _compile_cached(path, digest, "int8", "fp32", options)


def _compile_cached(path: Path, digest: str, precision: str, rest: str, options: EngineOptions) -> Any:
    """The compiled network: compiled here, by another process, or earlier.

    Args:
        digest: of the network's files.
        rest: floating-point precision of what is not quantised.
    """
    config = _configuration(precision, rest, options)
    key = key_of(
        *(digest, options.device, precision, repr(sorted(config.items()))),
        *("openvino", str(ov.__version__), __version__, sys.platform, platform.machine()),
        *(processor().model, *sorted(processor().flags), os.environ.get("ONEDNN_MAX_CPU_ISA", "")),
    )
    compiled = None

    def build(target: Path) -> None:
        nonlocal compiled
        compiled = compiled or _compile(path, precision, config)
        try:
            exported = compiled.export_model()
        except RuntimeError as error:
            raise OSError(f"openvino cannot store {path.name}: {one_line(error)}") from error
        target.write_bytes(exported.getbuffer())

    stored = find_or_build("engines", f"{key}.openvino", build)
    if compiled is None and stored is not None:
        try:
            return _core().import_model(stored.read_bytes(), "CPU", config)
        except (RuntimeError, OSError) as error:  # removed since, or another build of the same version wrote it
            LOG.warning("cannot use the compiled %s in the cache: %s; compiling it again", path.name, one_line(error))
            discard(stored)
    return compiled or _compile(path, precision, config)


def _compile(path: Path, precision: str, config: dict[str, Any]) -> Any:
    started = time.perf_counter()
    try:
        model = _core().read_model(str(path)) if kind_of(path) == ONNX else read_file(path)
        _check_model(path.name, model)
        compiled = _core().compile_model(model, "CPU", config)
        if model.is_dynamic():
            _try(model, config)
    except (RuntimeError, UnicodeDecodeError) as error:
        raise NetworkRefused(f"cannot compile {path.name} with openvino", one_line(error)) from error
    LOG.debug("compiled %s for openvino %s in %.2f s", path.name, precision, time.perf_counter() - started)
    return compiled


def _try(model: Any, config: dict[str, Any]) -> None:
    """Run a network once, on noise: where shapes of inner tensors depend on the picture, only a run shows a misfit.

    OpenVINO 2026.4 says so with two threads or more only; with one, what it gives are undefined numbers.

    Raises:
        RuntimeError: it cannot be run.
    """
    compiled = _core().compile_model(model, "CPU", {**config, "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 2})
    request = compiled.create_infer_request()
    specs = [_spec("", str(index), port) for index, port in enumerate(compiled.inputs)]
    for index, array in enumerate(random_feeds(specs).values()):
        request.set_input_tensor(index, ov.Tensor(array))
    request.infer()


def _check_model(name: str, model: Any) -> None:
    """Raise where a network takes or gives what no run can: of its inputs no other engine may take it either."""
    for port in model.inputs:
        if port.partial_shape.is_dynamic:
            raise EngineError(f"cannot compile {name}: {_open_shape(port)}")
    for port in (*model.inputs, *model.outputs):
        if port.partial_shape.is_dynamic:
            raise NetworkRefused(f"cannot compile {name}", _open_shape(port))
        kind = port.element_type.get_type_name()
        if kind not in _DTYPES:
            kind = "bfloat16" if kind == "bf16" else kind
            raise NetworkRefused(f"cannot compile {name}", f"{port.any_name!r} is {kind}, which NumPy does not have")


def _open_shape(port: Any) -> str:
    return f"{port.any_name!r} has no fixed shape ({port.partial_shape}); export it for one batch size and resolution"


class _Buffers:
    """The output arrays of one calling thread, and OpenVINO's tensors over those that it writes, by index."""

    def __init__(self, outputs: tuple[TensorSpec, ...], written: Sequence[int]) -> None:
        self.arrays = [np.empty(spec.shape, spec.dtype) for spec in outputs]
        self.tensors = {index: ov.Tensor(self.arrays[index], shared_memory=True) for index in written}


class _Request:
    """One infer request. It holds what its tensors point to, which OpenVINO does not."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self._buffers: _Buffers | None = None
        self._feeds: list[Array] = []

    def infer(self, feeds: list[Array], buffers: _Buffers) -> None:
        """Read ``feeds`` and write ``buffers``, both without a copy."""
        self._feeds = [lent(np.ascontiguousarray(array)) for array in feeds]
        for index, array in enumerate(self._feeds):
            self._request.set_input_tensor(index, ov.Tensor(array, shared_memory=True))
        if self._buffers is not buffers:
            for index, tensor in buffers.tensors.items():
                self._request.set_output_tensor(index, tensor)
            self._buffers = buffers
        self._request.infer()


class OpenVINOEngine:
    """A network compiled by OpenVINO; see :class:`vidgraph.engines.Engine`.

    Every calling thread has its own output arrays, which a run writes without a copy: the lease. Inputs and outputs
    have the names of the file; an input that nothing depends on, which OpenVINO removes, is asked for and not used.
    """

    engine = "openvino"

    def __init__(
        self, name: str, compiled: Any, interface: Interface, *, options: EngineOptions, precision: str
    ) -> None:
        self.name, self.device, self.precision = name, options.device, precision
        taken = dict(_named_inputs(name, compiled, interface))
        self.inputs = tuple(
            _spec(name, each.name, taken[each.name]) if each.name in taken else each.spec(name)
            for each in interface.inputs
        )
        self.outputs = tuple(
            _spec(name, known, port) for known, port in zip(interface.outputs, compiled.outputs, strict=True)
        )
        self._taken = list(taken)
        self._copied = _inputs_given_back(taken, compiled)
        self._written = [index for index in range(len(self.outputs)) if index not in self._copied]
        self._requests = Pool(name, [_Request(compiled) for _ in range(options.requests)])
        self._local = threading.local()

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Array]:
        """Run the network once; the outputs are this thread's until it runs the engine again.

        Raises:
            EngineError: the feeds do not fit, the engine is closed, or OpenVINO fails.
        """
        given = check_feeds(self.name, self.inputs, feeds)
        _FORKS.check(self.name)
        buffers = self._thread_buffers()
        with self._requests.take() as request:
            try:
                request.infer([given[name] for name in self._taken], buffers)
            except RuntimeError as error:
                raise EngineError(f"{self.name}: openvino failed: {one_line(error)}") from error
        for index, name in self._copied.items():
            np.copyto(buffers.arrays[index], given[name])
        return {spec.name: array for spec, array in zip(self.outputs, buffers.arrays, strict=True)}

    def _thread_buffers(self) -> _Buffers:
        buffers: _Buffers | None = getattr(self._local, "buffers", None)
        if buffers is None:
            buffers = self._local.buffers = _Buffers(self.outputs, self._written)
        return buffers

    def close(self) -> None:
        """Wait for runs under way and free the network; outputs already given stay valid."""
        self._requests.close()


def _named_inputs(owner: str, compiled: Any, interface: Interface) -> Iterator[tuple[str, Any]]:
    """The inputs of a compiled network, with the names of the file."""
    for port in compiled.inputs:
        name = interface.fed_by(port.names)
        if name is None:
            raise NetworkRefused(f"cannot run {owner} with openvino", f"it asks for {min(port.names)!r} to be fed")
        yield name, port


def _inputs_given_back(taken: Mapping[str, Any], compiled: Any) -> dict[int, str]:
    """Outputs (by index) that are an input (by name): OpenVINO has one tensor for both, and takes the last one set."""
    return {
        index: name
        for index, output in enumerate(compiled.outputs)
        for name, port in taken.items()
        if port.names & output.names
    }


def _spec(owner: str, name: str, port: Any) -> TensorSpec:
    return fixed_spec(owner, name, port.element_type.to_dtype(), tuple(port.shape))
