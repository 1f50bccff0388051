"""torch as an engine: on the CPU for real, on a card with a stand-in."""

from __future__ import annotations

import ctypes
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import ENGINES, EngineOptions, open_engine
from vidgraph.engines.spec import NetworkRefused
from vidgraph.kernels.cuda.driver import CudaError, address_of, driver
from vidgraph.kernels.device import DeviceArray, to_host
from vidgraph.pipeline.errors import DeviceError, EngineError, MissingExtraError

from ..tensorrt import standin
from ..tensorrt.running import check, put

pytest.importorskip("torch", reason="needs the extra 'torch'")
import torch
from vidgraph.engines.torch import open as opening, tensorrt

from .programs import write, write_conv


@pytest.fixture
def program(conv: Any, tmp_path: Path) -> Path:
    return write_conv(conv, tmp_path / "net.pt2")


def test_it_is_the_engine_of_programs_and_of_nothing_else(program: Path, network: Path) -> None:
    assert open_engine(program).engine == "torch"
    with pytest.raises(
        EngineError, match=r"^cannot open conv_relu\.onnx with torch, which takes \.pt2 files; engines of"
    ):
        open_engine(network, engine="torch")
    with pytest.raises(EngineError, match=r"^cannot open net\.pt2 with openvino, which takes \.onnx files; engines of "
                       r"\.pt2 files are torch, torch-tensorrt$"):  # fmt: skip
        open_engine(program, engine="openvino")


def test_names_of_others_are_those_of_the_program(tmp_path: Path) -> None:
    path = write(torch.nn.Sequential(torch.nn.Linear(3, 2)), tmp_path / "linear.pt2", torch.zeros(4, 3))
    engine = open_engine(path, engine="torch")
    assert [spec.name for spec in (*engine.inputs, *engine.outputs)] == ["input", "linear"]
    assert engine.run({"input": np.zeros((4, 3), np.float32)})["linear"].shape == (4, 2)


def test_fp16_is_true_half_arithmetic(program: Path, conv: Any, caplog: pytest.LogCaptureFixture) -> None:
    image = conv.image(0)
    engine = open_engine(program, engine="torch", precision="fp16")
    assert (engine.precision, engine.inputs, engine.outputs) == ("fp16", conv.inputs, conv.outputs)
    got = engine.run({"image": image})["features"]
    assert got.dtype == np.float32
    assert 1e-4 < np.abs(got - conv.answer(image)["features"]).max() < 2e-2
    assert "net.pt2 runs in fp16, which was not compared with fp32" in caplog.text
    assert np.isinf(engine.run({"image": image * 1e5})["features"]).any(), "it overflows, as on a card"


def test_a_program_that_mixes_types_has_no_fp16(tmp_path: Path) -> None:
    class Mixed(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            return self.linear(x + torch.ones(3, dtype=torch.float32))

    path = write(Mixed(), tmp_path / "mixed.pt2", torch.zeros(1, 3))
    with pytest.raises(NetworkRefused, match=r"^cannot run mixed\.pt2 in fp16 with torch: "):
        open_engine(path, engine="torch", precision="fp16")


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_precisions_that_it_does_not_have(precision: str, program: Path) -> None:
    with pytest.raises(EngineError, match=rf"^net\.pt2: precision '{precision}' is not available with torch"):
        open_engine(program, engine="torch", precision=precision)


def test_a_program_in_training_is_refused(tmp_path: Path) -> None:
    norm = torch.export.export(torch.nn.BatchNorm2d(3), (torch.zeros(2, 3, 4, 4),))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's notes on itself
        without_writes = norm.run_decompositions()
    for number, program in enumerate((norm, without_writes)):
        torch.export.save(program, tmp_path / f"norm{number}.pt2")
        with pytest.raises(
            NetworkRefused, match=r"pt2: it changes its own state or inputs; export it in evaluation mode"
        ):
            open_engine(tmp_path / f"norm{number}.pt2", engine="torch")


def test_a_card_that_is_not_there_is_an_error(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.backends.cuda.is_built():
        with pytest.raises(
            EngineError, match=r"^cannot run net\.pt2 on cuda:0: torch \S+ is built without CUDA; install"
        ):
            open_engine(program, engine="torch", device="cuda")
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    if not torch.cuda.is_available():
        with pytest.raises(EngineError, match=r"^cannot run net\.pt2 on cuda:0: .*\. Use device cpu"):
            open_engine(program, engine="torch", device="cuda")


# A card: torch on the CPU, with memory of this machine.


class Place:
    """As ``OnCard``, without CUDA."""

    def __init__(self, device: Any) -> None:
        self.device = device

    @contextmanager
    def queue(self, given: Any) -> Iterator[None]:
        for array in given:
            address_of(array)
        driver().synchronise(self.device)
        yield

    def tensor(self, array: DeviceArray) -> Any:
        memory = (ctypes.c_uint8 * array.nbytes).from_address(array.pointer)
        return torch.from_numpy(np.frombuffer(memory, array.dtype).reshape(array.shape))

    def array(self, tensor: Any) -> DeviceArray:
        held = tensor.numpy()
        return DeviceArray(tensor, tensor.data_ptr(), held.shape, held.dtype, self.device)

    def finish(self) -> None:
        driver().synchronise(self.device)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with standin.plugged_in(monkeypatch) as (_, state):
        monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(opening, "OnCard", Place)
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # as it was, afterwards
        yield state


def test_arrays_stay_on_the_card(card: Any, program: Path, conv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    monkeypatch.setattr(
        "torch.export.passes.move_to_device_pass", lambda exported, place: moved.append(place) or exported
    )
    engine = open_engine(program, engine="torch", device="cuda:0", precision="fp32")
    assert (engine.device, engine.precision, moved) == ("cuda:0", "fp32", ["cuda:0"])
    outputs = check(engine, conv, 0)
    first = to_host(outputs["features"]).copy()
    check(engine, conv, 1)
    np.testing.assert_array_equal(to_host(outputs["features"]), first)
    with pytest.raises(EngineError, match=r"must lie on cuda:0, got one in host memory"):
        engine.run({"image": conv.image(0)})
    assert not torch.backends.cudnn.allow_tf32


def test_weights_are_there_until_the_card_has_read_them(
    card: Any, program: Path, conv: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.export.passes.move_to_device_pass", lambda exported, place: exported)
    engine = open_engine(program, engine="torch", device="cuda:0", precision="fp32")
    engine.run({"image": put(conv.image(0))})
    call, alive = weakref.ref(engine._program.call), []  # type: ignore[attr-defined]
    with driver().active(standin.CARD):
        card.driver.put(driver().stream(standin.CARD), lambda: alive.append(call() is not None))
    engine.close()
    assert alive == [True]
    assert call() is None
    engine.close()


def test_out_of_memory_and_other_errors_are_ours(program: Path, conv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_engine(program, engine="torch")
    for error, said in (
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), r"^net\.pt2: the card has no memory left \(CUDA out of"),
        (
            RuntimeError("CUDA error: an illegal\nmemory access"),
            r"^net\.pt2: torch failed: CUDA error: an illegal memory",
        ),
    ):

        def fail(array: Any, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr(engine._place, "tensor", fail)
        with pytest.raises(EngineError, match=said):
            engine.run({"image": conv.image(0)})


@pytest.mark.parametrize("where", ["move", "try"])
def test_a_card_without_memory_is_not_the_fault_of_the_network(
    where: str, card: Any, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried")

    moved = fail if where == "move" else lambda exported, place: exported
    monkeypatch.setattr("torch.export.passes.move_to_device_pass", moved)
    monkeypatch.setattr(torch.Tensor, "to", fail)
    with pytest.raises(EngineError, match=r"^net\.pt2: the card has no memory left \(CUDA out of") as caught:
        open_engine(program, engine="torch", device="cuda:0", precision="fp16")
    assert not isinstance(caught.value, NetworkRefused)


@pytest.mark.parametrize(
    ("error", "kind"), [(CudaError("cannot make a stream"), DeviceError), (RuntimeError("CUDA\nerror"), EngineError)]
)
def test_a_card_that_does_not_start(
    error: Exception, kind: type[EngineError], card: Any, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(device: Any) -> Any:
        raise error

    monkeypatch.setattr(opening, "OnCard", fail)
    with pytest.raises(
        kind, match=r"^cannot run net\.pt2 on cuda:0: (cannot make a stream|CUDA error)\. Use device cpu$"
    ):
        open_engine(program, engine="torch", device="cuda:0")


# Torch-TensorRT.


class Compiler:
    """The calls of ``torch_tensorrt`` that are made."""

    __version__ = "2.13.0"

    class Input:
        def __init__(self, shape: Any, *, dtype: Any) -> None:
            self.shape, self.dtype = tuple(shape), dtype

    class Device:
        def __init__(self, *, gpu_id: int) -> None:
            self.gpu_id = gpu_id

    def __init__(self) -> None:
        self.dynamo = self

    def compile(self, exported: Any, *, inputs: Any, device: Any, disable_tf32: bool) -> Any:
        assert disable_tf32
        assert device.gpu_id == 0
        assert [(each.shape, each.dtype) for each in inputs] == [((1, 3, 24, 20), torch.float32)]
        return exported.module()


def test_it_is_compiled_for_the_card(card: Any, program: Path, conv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt, "import_module", lambda name: Compiler())
    engine = tensorrt.open_network(program, EngineOptions("cuda:0"))
    assert (engine.engine, engine.device, engine.precision) == ("torch-tensorrt", "cuda:0", "fp32")
    check(engine, conv, 3)
    with pytest.raises(
        EngineError, match=r"precision 'fp16' is not available with torch-tensorrt, which runs fp32 here"
    ):
        tensorrt.open_network(program, EngineOptions("cuda:0", "fp16"))

    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("Unsupported\noperator")

    monkeypatch.setattr(Compiler, "compile", refuse)
    with pytest.raises(NetworkRefused, match=r"^cannot compile net\.pt2 with torch-tensorrt: Unsupported operator$"):
        tensorrt.open_network(program, EngineOptions("cuda:0"))


def test_torch_tensorrt_that_is_not_there(card: Any, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not ENGINES["torch-tensorrt"].installed:
        with pytest.raises(MissingExtraError, match=r"^engine 'torch-tensorrt' needs .*vidgraph\[torch-tensorrt\]'$"):
            open_engine(program, engine="torch-tensorrt", device="cuda")

    def broken(name: str) -> Any:
        raise ImportError("libnvinfer.so.10: cannot open shared object file")

    monkeypatch.setattr(tensorrt, "import_module", broken)
    with pytest.raises(
        EngineError, match=r"^Torch-TensorRT cannot be imported \(libnvinfer\.so\.10: .*Use device cpu$"
    ):
        tensorrt.open_network(program, EngineOptions("cuda:0"))


def test_it_does_not_run_on_the_cpu(program: Path) -> None:
    said = r"^cannot run net\.pt2 on cpu: engine 'torch-tensorrt' needs device cuda; engine 'torch' runs there$"
    with pytest.raises(EngineError, match=said):
        open_engine(program, engine="torch-tensorrt", device="cpu")
