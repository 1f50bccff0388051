"""TensorRT that is not there: ONNX Runtime in place of engines, on a card and a driver that are not there either.

An "engine" is the ONNX network itself. The card and its driver are those of ``tests/emulator/libcuda.py``.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.engines.tensorrt.flavour import Flavour
from vidgraph.kernels.device import Device

from ...emulator import libcuda

CARD = Device("cuda", 0)


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class IProgressMonitor:
    pass


class BuilderFlag:
    TF32 = "TF32"


class NetworkDefinitionCreationFlag:
    STRONGLY_TYPED, EXPLICIT_BATCH = 1, 0


class TensorIOMode:
    INPUT, OUTPUT = "input", "output"


class TensorLocation:
    DEVICE, HOST = "device", "host"


class TensorFormat:
    LINEAR, CHW32 = "linear", "chw32"


class Plain:
    """A class whose fields are given by name."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__ |= fields


class Definition:
    def __init__(self) -> None:
        self.model: Any = None

    def _port(self, value: Any, *, taken: bool) -> Any:
        tensor = value.type.tensor_type
        return Plain(name=value.name, dtype=tensor.elem_type, is_network_input=taken,
                     shape=[each.dim_value for each in tensor.shape.dim])  # fmt: skip

    @property
    def num_inputs(self) -> int:
        return len(self.model.graph.input)

    @property
    def num_outputs(self) -> int:
        return len(self.model.graph.output)

    def get_input(self, index: int) -> Any:
        return self._port(self.model.graph.input[index], taken=True)

    def get_output(self, index: int) -> Any:
        return self._port(self.model.graph.output[index], taken=False)


def nptype(kind: int) -> Any:
    return onnx.helper.tensor_dtype_to_np_dtype(kind)


class OnnxParser:
    num_errors = 0

    def __init__(self, definition: Definition, logger: Any) -> None:
        self._definition = definition

    def parse(self, data: bytes, path: str = "") -> bool:
        self._definition.model = onnx.load_from_string(data)
        return True


class TimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> bytes:
        return self.content + b"timed;"


class Config:
    def __init__(self) -> None:
        self.cleared: list[Any] = []
        self.progress_monitor: Any = None
        self.cache: Any = None

    def clear_flag(self, flag: Any) -> None:
        self.cleared.append(flag)

    def create_timing_cache(self, content: bytes) -> TimingCache:
        return TimingCache(content)

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> None:
        assert not ignore_mismatch
        self.cache = cache

    def get_timing_cache(self) -> TimingCache:
        assert self.cache is not None
        return self.cache


class IBuilderConfig:
    pass


class Builder:
    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def create_network(self, flags: int) -> Definition:
        assert flags == 0b11, "strongly typed, with an explicit batch"
        return Definition()

    def create_builder_config(self) -> Config:
        return Config()

    def build_serialized_network(self, definition: Definition, config: Config) -> bytes | None:
        assert config.cleared == ["TF32"]
        if STATE.build_error:
            self.logger.log(ILogger.ERROR, STATE.build_error)
            return None
        monitor = config.progress_monitor
        monitor.phase_start("Building engine", None, 2)
        monitor.phase_start("Timing", "Building engine", 100)
        for index in range(2):
            if not monitor.step_complete("Building engine", index):
                return None
        monitor.phase_finish("Building engine")
        return definition.model.SerializeToString()


class Runtime:
    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def deserialize_cuda_engine(self, plan: Any) -> Any:
        if STATE.open_error:
            self.logger.log(ILogger.ERROR, STATE.open_error)
            return None
        try:
            model = onnx.load_from_string(bytes(plan))
        except Exception:
            self.logger.log(ILogger.ERROR, "[runtime.cpp::check::9] Error Code 1: Serialization (Wrong magic tag)")
            return None
        return (RTXEngine if STATE.rtx else Engine)(model, self.logger)


class Engine:
    def __init__(self, model: Any, logger: Any) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.logger = logger
        self.inputs = [value.name for value in model.graph.input]
        self._values = {value.name: value.type.tensor_type for value in (*model.graph.input, *model.graph.output)}

    @property
    def num_io_tensors(self) -> int:
        return len(self._values)

    def get_tensor_name(self, index: int) -> str:
        return list(self._values)[index]

    def get_tensor_mode(self, name: str) -> str:
        return TensorIOMode.INPUT if name in self.inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> int:
        return int(self._values[name].elem_type)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(each.dim_value for each in self._values[name].shape.dim)

    def get_tensor_location(self, name: str) -> str:
        return STATE.locations.get(name, TensorLocation.DEVICE)

    def get_tensor_format(self, name: str) -> str:
        return STATE.formats.get(name, TensorFormat.LINEAR)

    def create_execution_context(self, config: Any = None) -> Any:
        assert (config is not None) == STATE.rtx
        if STATE.context_error:
            self.logger.log(ILogger.ERROR, STATE.context_error)
            return None
        return Context(self)


class Cache:
    def __init__(self) -> None:
        self.content = b""

    def deserialize(self, content: bytes) -> bool:
        self.content = content
        return bool(content)

    def serialize(self) -> bytes:
        return self.content or b"compiled"


class RuntimeConfig:
    cuda_graph_strategy: Any = None
    cache: Any = None

    def create_runtime_cache(self) -> Cache:
        return Cache()

    def set_runtime_cache(self, cache: Cache) -> None:
        self.cache = cache
        STATE.caches.append(cache.content)


class CudaGraphStrategy:
    WHOLE_GRAPH_CAPTURE = "whole"


class RTXEngine(Engine):
    def create_runtime_config(self) -> RuntimeConfig:
        return RuntimeConfig()


class Context:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def _read(self, name: str) -> np.ndarray:
        dtype = np.dtype(nptype(self._engine.get_tensor_dtype(name)))
        shape = self._engine.get_tensor_shape(name)
        size = int(np.prod(shape)) * dtype.itemsize
        return np.frombuffer((ctypes.c_uint8 * size).from_address(self._addresses[name]), dtype).reshape(shape)

    def _work(self) -> None:
        names = [name for name in self._addresses if name not in self._engine.inputs]
        feeds = {name: self._read(name).copy() for name in self._engine.inputs}
        for name, array in zip(names, self._engine.session.run(names, feeds), strict=True):
            self._read(name)[...] = array

    def execute_async_v3(self, stream: int) -> bool:
        assert stream, "not on the default stream"
        STATE.streams.append(stream)
        if STATE.run_error:
            self._engine.logger.log(ILogger.ERROR, STATE.run_error)
            return False
        STATE.driver.put(stream, self._work)
        return True


@dataclass
class State:
    """What the library of a test is to do, and what it did."""

    driver: libcuda.StandIn
    rtx: bool = False
    build_error: str = ""
    open_error: str = ""
    context_error: str = ""
    run_error: str = ""
    locations: dict[str, str] = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)
    streams: list[int] = field(default_factory=list)
    caches: list[bytes] = field(default_factory=list)


STATE: Any = None
__version__ = "10.13.2.6"


@contextmanager
def plugged_in(
    monkeypatch: pytest.MonkeyPatch, seed: int | None = None, **state: Any
) -> Iterator[tuple[Flavour, State]]:
    """The card, its driver and TensorRT are there."""
    monkeypatch.setattr(sys.modules[__name__], "STATE", State(libcuda.plug_in(monkeypatch, seed=seed), **state))
    yield Flavour("tensorrt", "TensorRT", (__name__,), "tensorrt_stand_in"), STATE
