"""An exported program that runs in torch, on the CPU or a card: no copies on the way in, new outputs every time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from ...kernels.cuda.driver import address_of, driver
from ...kernels.device import HOST, Device, Tensor
from ...kernels.exchange import device_array
from ...pipeline.errors import EngineError
from ..card import card_errors, out_of_memory
from ..forks import ForkGuard
from ..pool import Pool
from ..spec import EngineOptions, NetworkRefused, TensorSpec, check_feeds, fixed_spec, shortened

FORKS = ForkGuard("torch", instead=". Engine onnxruntime runs in a forked process")
_DTYPES = {
    torch.float32: np.float32, torch.float16: np.float16, torch.float64: np.float64, torch.int8: np.int8,
    torch.int16: np.int16, torch.int32: np.int32, torch.int64: np.int64, torch.uint8: np.uint8, torch.bool: np.bool_,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """A network as torch runs it.

    Attributes:
        call: takes the inputs in order, and gives the outputs in order.
        inputs, outputs: what they are.
        precision: ``fp32`` or ``fp16``.
    """

    call: Callable[[Sequence[Any]], list[Any]]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    precision: str


def specs_of(name: str, program: Any, metadata: Mapping[str, Any]) -> tuple[tuple[TensorSpec, ...], ...]:
    """Inputs and outputs of a ``torch.export.ExportedProgram``, named as the metadata does, or as the program does.

    Raises:
        EngineError, NetworkRefused: of the network ``name``: one is no tensor or of a type that NumPy does not have;
            there are more or fewer than are named; or it changes its own state or inputs.
    """
    signature = program.graph_signature
    if signature.buffers_to_mutate or signature.user_inputs_to_mutate or any(map(_writes_inputs, program.graph.nodes)):
        raise NetworkRefused(
            f"cannot open {name}", "it changes its own state or inputs; export it in evaluation mode (model.eval())"
        )
    known = {node.name: node.meta.get("val") for node in program.graph.nodes}
    given = []
    for kind, tensors in (("inputs", signature.user_inputs), ("outputs", signature.user_outputs)):
        names = metadata.get(kind, tensors)
        if not isinstance(names, list | tuple) or len(names) != len(tensors):
            raise EngineError(f"cannot open {name}: its metadata does not name its {len(tensors)} {kind}")
        given.append(tuple(_spec(name, *pair, known) for pair in zip(names, tensors, strict=True)))
    return tuple(given)


def _writes_inputs(node: Any) -> bool:
    """Whether an operator works in place on an input, a weight or a buffer."""
    schema = getattr(node.target, "_schema", None)  # of an operator
    if schema is None:
        return False
    written = [each.alias_info is not None and each.alias_info.is_write for each in schema.arguments]
    return any(
        writes and getattr(given, "op", "") == "placeholder" for writes, given in zip(written, node.args, strict=False)
    )


def _spec(owner: str, name: Any, tensor: Any, known: Mapping[str, Any]) -> TensorSpec:
    value = known.get(tensor) if isinstance(tensor, str) else None
    if not isinstance(value, torch.Tensor):
        raise NetworkRefused(f"cannot open {owner}", f"input or output {shortened(str(name), 40)!r} is no tensor")
    if value.dtype not in _DTYPES:
        kind = str(value.dtype).removeprefix("torch.")
        raise NetworkRefused(f"cannot open {owner}", f"{name!r} is a tensor of {kind}, which NumPy does not have")
    return fixed_spec(owner, str(name), _DTYPES[value.dtype], tuple(value.shape))


class Place(Protocol):
    """How arrays become tensors where a program runs, and back, without a copy."""

    device: Device

    def queue(self, given: Sequence[Any]) -> AbstractContextManager[Any]:
        """What runs inside comes after what was queued for these arrays."""

    def tensor(self, array: Any) -> Any:
        """Of an array."""

    def array(self, tensor: Any) -> Tensor:
        """Of a tensor that was made inside :meth:`queue`."""

    def finish(self) -> None:
        """Wait until what was queued is done."""


class OnHost:
    """In host memory."""

    device = HOST

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._local = threading.local()

    def queue(self, given: Sequence[Any]) -> AbstractContextManager[Any]:
        """Nothing is queued; torch has the cores of one request for every thread that calls it."""
        if not getattr(self._local, "counted", False):
            torch.set_num_threads(self._threads)
            self._local.counted = True
        return nullcontext()

    def tensor(self, array: Any) -> Any:
        """A copy where torch takes no such array: one that is not to be written, or with negative strides."""
        plain = array.flags.writeable and all(step >= 0 and step % array.itemsize == 0 for step in array.strides)
        return torch.from_numpy(array if plain else array.copy())

    def array(self, tensor: Any) -> Tensor:
        """The memory of the tensor."""
        made: np.ndarray[Any, Any] = tensor.numpy()
        return made

    def finish(self) -> None:
        """Nothing is queued."""


class OnCard:
    """On a card: work goes onto its compute stream."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._name = str(device)
        self._stream = torch.cuda.ExternalStream(driver().stream(device), device=self._name)

    def queue(self, given: Sequence[Any]) -> AbstractContextManager[Any]:
        """Other streams that write the arrays are waited for there."""
        for array in given:
            address_of(array)
        return torch.cuda.stream(self._stream)  # type: ignore[no-any-return]

    def tensor(self, array: Any) -> Any:
        """The memory of the array."""
        return torch.as_tensor(array, device=self._name)

    def array(self, tensor: Any) -> Tensor:
        """The memory of the tensor."""
        return device_array(tensor)

    def finish(self) -> None:
        """What the compute stream has."""
        driver().synchronise(self.device)


class TorchEngine:
    """A network run by torch; see :class:`vidgraph.engines.Engine`. Its outputs are new arrays every time."""

    def __init__(self, engine: str, name: str, program: Program, place: Place, options: EngineOptions) -> None:
        self.engine, self.name, self.device, self.precision = engine, name, str(place.device), program.precision
        self.inputs, self.outputs = program.inputs, program.outputs
        self._place = place
        self._program: Program | None = program  # torch gives the memory of weights away as soon as nobody holds them
        self._programs = Pool(name, [program.call] * options.requests)

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Tensor]:
        """Run the network once; on a card this queues the work and does not wait.

        Raises:
            EngineError: the feeds do not fit, the engine is closed, torch fails, the card has no memory left, or
                this process was forked after torch had run.
        """
        given = check_feeds(self.name, self.inputs, feeds, self._place.device)
        FORKS.check(self.name)
        arrays = [given[spec.name] for spec in self.inputs]
        with self._programs.take() as call:
            try:
                with self._place.queue(arrays), torch.inference_mode():
                    tensors = [self._place.tensor(array) for array in arrays]
                    answers = [_own(answer, tensors) for answer in call(tensors)]
                    made = [self._place.array(answer) for answer in answers]
            except torch.OutOfMemoryError as error:
                raise no_memory(self.name, error) from error
            except Exception as error:  # it documents no types; most are RuntimeError
                raise EngineError(f"{self.name}: {self.engine} failed: {shortened(str(error))}") from error
        return dict(zip((spec.name for spec in self.outputs), made, strict=True))

    def close(self) -> None:
        """Wait for runs under way, on a card for all work, and free the network; may be called twice."""
        self._programs.close()
        if self._program is not None:
            with card_errors(self.name):
                self._place.finish()
            self._program = None


def no_memory(name: str, error: Exception) -> EngineError:
    """The error where a card has no room for a network, or for what it computes."""
    return out_of_memory(name, shortened(str(error), 120), instead="Use device cpu")


def _own(answer: Any, feeds: Sequence[Any]) -> Any:
    """A tensor of its own: C-contiguous, and no part of a feed."""
    packed = answer.detach().contiguous()
    memory = packed.untyped_storage().data_ptr()
    return packed.clone() if any(memory == each.untyped_storage().data_ptr() for each in feeds) else packed
