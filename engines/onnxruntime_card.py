"""Networks on an NVIDIA card by ONNX Runtime's CUDA provider: nothing of a run goes through host memory.

Every calling thread has buffers of its own on the card, to which the session is bound once. All runs on a card are
queued on one stream beside the compute stream, one after the other; the two wait for one another. CUDA graphs are left
off: with them a session keeps memory for every thread that ever ran it, until it is closed, and waits for every run.

Source: ONNX Runtime's documentation of the CUDA provider, of IOBinding and of run options.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import weakref
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..kernels.cuda.driver import address_of, driver
from ..kernels.device import Device, DeviceArray
from ..pipeline.errors import EngineError
from .card import ON_THE_CPU, CardBuffers, card_errors, out_of_memory
from .forks import ForkGuard
from .half.choice import choose_half
from .half.network import half_network
from .half.plan import HALF
from .onnxruntime import ONLY_FATAL, check_graph_precision, one_line, ort, session_options, specs_of
from .pool import Pool
from .spec import EngineOptions, NetworkRefused, TensorSpec, check_feeds

if TYPE_CHECKING:
    from onnx import ModelProto

LOG = logging.getLogger("vidgraph")
FORKS = ForkGuard("ONNX Runtime on a card", instead=f". {ON_THE_CPU}")
PROVIDER = "CUDAExecutionProvider"
MEMORY = "cuda"
"""What ONNX Runtime calls the memory that sessions are bound to."""

INSTALL = (
    "pip uninstall onnxruntime onnxruntime-gpu, then pip install 'vidgraph[onnxruntime-gpu]' (both packages write the "
    "same files, so only one of them can be installed)"
)
_NO_MEMORY = ("out of memory", "failed to allocate", "alloc_failed")


@dataclass(frozen=True, slots=True)
class Content:
    """What ONNX Runtime is to open: a path, or a network made of the file; and the precision it computes in."""

    network: str | bytes
    precision: str

    @classmethod
    def of(cls, path: Path, model: ModelProto, digest: str, *, quantised: bool, asked: str) -> Content:
        """
        Raises:
            EngineError: the network does not have the precision that was ``asked`` for.
        """
        own = "fp16" if any(value.type.tensor_type.elem_type == HALF for value in model.graph.input) else "fp32"
        if quantised or own == "fp16" or asked not in ("auto", "fp32", "fp16"):
            own = "int8" if quantised else own
            check_graph_precision(path.name, own, asked)
            return cls(str(path), own)
        precision, keep = choose_half(path.name, digest, asked)
        if precision == "fp32":
            return cls(str(path), precision)
        return cls(half_network(model, str(path.parent), keep).SerializeToString(), precision)


def open_on_card(
    path: Path, model: ModelProto, digest: str, options: EngineOptions, *, quantised: bool
) -> OnnxRuntimeCardEngine:
    """Open an ONNX file on ``options.device``.

    Args:
        path: the file.
        model: what is in it.
        digest: of the file and its weights, by which it is known whether fp16 was checked.
        options: how it is to run.
        quantised: whether it computes in int8.

    Raises:
        EngineError: there is no driver or no such card; the installed ONNX Runtime has no CUDA provider, or cannot load
            it; the network does not have the precision; the card has no memory left; or this process was forked
            after ONNX Runtime had used a card.
        NetworkRefused: it has an operator that ONNX Runtime does not know, or the like.
    """
    name, place = path.name, Device.of(options.device)
    FORKS.begin(name)
    with card_errors(f"cannot run {name} on {place}"):
        driver().card(place)
    if PROVIDER not in ort.get_available_providers():
        raise EngineError(
            f"cannot run {name} on {place}: the installed onnxruntime has no CUDA provider; {INSTALL}. {ON_THE_CPU}"
        )
    content = Content.of(path, model, digest, quantised=quantised, asked=options.precision)
    with card_errors(f"cannot run {name} on {place}"), driver().active(place):
        lane = lane_of(place)
        with lane.turn:
            session = _open(name, content, lane, options)
    return OnnxRuntimeCardEngine(name, session, content.precision, lane, options)


@dataclass(frozen=True, slots=True)
class Lane:
    """The one stream of a card that sessions run on; they are made, run and freed in turns."""

    place: Device
    stream: int
    turn: threading.Lock = field(default_factory=threading.Lock)


_lanes: dict[Device, Lane] = {}
_lanes_lock = threading.Lock()


def lane_of(place: Device) -> Lane:
    """That of a card."""
    with _lanes_lock:
        if place not in _lanes:
            _lanes[place] = Lane(place, driver().new_stream(place))
        return _lanes[place]


def provider_options(lane: Lane, *, deterministic: bool) -> dict[str, str]:
    """Options of the CUDA provider: exact fp32, our stream, and memory that grows by what is asked for."""
    return {
        "device_id": str(lane.place.index),
        "user_compute_stream": str(lane.stream),
        "use_tf32": "0",  # rounds fp32 to 10 bits
        "arena_extend_strategy": "kSameAsRequested",  # shapes are fixed: after the first run nothing is added
        "cudnn_conv_algo_search": "HEURISTIC" if deterministic else "EXHAUSTIVE",  # by time, so not always the same
        "enable_cuda_graph": "0",
    }


def _open(name: str, content: Content, lane: Lane, options: EngineOptions) -> Any:
    """A session on the card."""
    ort.set_default_logger_severity(ONLY_FATAL)  # what it says when it cannot load its provider
    ort.preload_dlls()  # the CUDA libraries of NVIDIA's wheels; prints the names of those that are missing
    chosen = session_options(options)
    chosen.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    chosen.add_session_config_entry("session.use_device_allocator_for_initializers", "1")  # outside the arena
    given = provider_options(lane, deterministic=options.deterministic)
    try:
        session = ort.InferenceSession(content.network, chosen, providers=[(PROVIDER, given)], enable_fallback=0)
    except Exception as error:  # its exceptions have no common base of their own
        said = one_line(error)
        if _is_about_memory(said):
            raise out_of_memory(name, said) from error
        raise NetworkRefused(f"cannot open {name} with onnxruntime on {lane.place}", said) from error
    if PROVIDER not in session.get_providers():
        raise EngineError(
            f"cannot run {name} on {lane.place}: ONNX Runtime cannot load its CUDA provider, because libraries of CUDA "
            f"or cuDNN are missing or of another version{_missing_library()}; {INSTALL}. {ON_THE_CPU}"
        )
    on_cpu = nodes_elsewhere(session)
    if on_cpu:
        LOG.warning(
            "%s: ONNX Runtime runs nodes on the CPU, to which their inputs are copied: %s",
            name, ", ".join(f"{count} {operator}" for operator, count in sorted(on_cpu.items())),
        )  # fmt: skip
    return session


def _missing_library() -> str:
    """The one that the provider could not be loaded for, in brackets, where the system says so."""
    for library in (Path(str(ort.__file__)).parent / "capi").glob("libonnxruntime_providers_cuda*"):
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            return f" ({error})"
    return ""


def nodes_elsewhere(session: Any) -> Counter[str]:
    """Operators of the nodes that do not run on the card -> how many; nothing where ONNX Runtime does not say."""
    say = getattr(session, "get_provider_graph_assignment_info", None)
    parts = [] if say is None else say()
    return Counter(node.op_type for part in parts if part.ep_name != PROVIDER for node in part.get_nodes())


def _is_about_memory(text: str) -> bool:
    return any(sign in text.lower() for sign in _NO_MEMORY)


class OnnxRuntimeCardEngine:
    """A network run by ONNX Runtime on a card; see :class:`vidgraph.engines.Engine`.

    Feeds and outputs lie on ``device``. Feeds are read in the order of their stream: whoever writes them again does so
    on that stream, or waits for the outputs. Outputs are those of the calling thread until it runs the engine again.
    """

    engine = "onnxruntime"

    def __init__(self, name: str, session: Any, precision: str, lane: Lane, options: EngineOptions) -> None:
        self.name, self.device, self.precision = name, str(lane.place), precision
        self.inputs, self.outputs = specs_of(name, session)
        self._lane = lane
        self._session = session
        self._sessions = Pool(name, [session] * options.requests)
        self._local = threading.local()
        self._bound: weakref.WeakSet[_Bound] = weakref.WeakSet()

    def run(self, feeds: Mapping[str, Any]) -> dict[str, DeviceArray]:
        """Run the network once; the outputs are this thread's until it runs the engine again.

        Raises:
            EngineError: the feeds do not fit, the engine is closed, the card has no memory left, ONNX Runtime fails,
                or this process was forked.
        """
        given = check_feeds(self.name, self.inputs, feeds, self._lane.place)
        FORKS.check(self.name)
        place = self._lane.place
        with self._sessions.take() as session, card_errors(self.name), driver().active(place):
            return self._buffers(session).run(given)

    def _buffers(self, session: Any) -> _Bound:
        """Those of the calling thread."""
        bound: _Bound | None = getattr(self._local, "bound", None)
        if bound is None:
            bound = _Bound(self.name, session, self.inputs, self.outputs, self._lane)
            self._bound.add(bound)
            self._local.bound = bound
        return bound

    def close(self) -> None:
        """Wait for runs under way and free the network; outputs already given stay valid."""
        self._sessions.close()
        place = self._lane.place
        with self._lane.turn, card_errors(self.name), driver().active(place):
            if self._session is None:
                return
            driver().synchronise(place)  # also for runs of threads that have ended
            for bound in list(self._bound):
                bound.close()
            self._session = None


class _Bound:
    """A session bound to buffers of one thread."""

    def __init__(
        self,
        name: str,
        session: Any,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        lane: Lane,
    ) -> None:
        self._name, self._lane, self._session = name, lane, session
        self._buffers = CardBuffers(name, inputs, outputs, lane.place)
        self._binding = binding = session.io_binding()
        buffers = self._buffers
        for bind, arrays in ((binding.bind_input, buffers.inputs), (binding.bind_output, buffers.outputs)):
            for each, array in arrays.items():
                bind(each, MEMORY, lane.place.index, array.dtype.type, array.shape, array.pointer)
        self._options = ort.RunOptions()
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")  # it does not wait

    def run(self, given: Mapping[str, DeviceArray]) -> dict[str, DeviceArray]:
        """Queue copies of the feeds and the network."""
        here, place, own = driver(), self._lane.place, self._lane.stream
        ours = here.stream(place)
        for name, array in given.items():
            packed = array if array.flags.c_contiguous else array.copy()
            here.copy(self._buffers.inputs[name].pointer, address_of(packed), packed.nbytes, place)
        for other in {array.stream for array in given.values() if array.stream is not None}:
            here.wait_for(other, ours, place)  # before a feed is written again
        with self._lane.turn:
            here.wait_for(own, ours, place)
            try:
                self._launch()
            finally:
                here.wait_for(ours, own, place)  # also for what was queued before it failed
        return dict(self._buffers.outputs)

    def _launch(self) -> None:
        try:
            self._session.run_with_iobinding(self._binding, self._options)
        except Exception as error:  # its exceptions have no common base of their own
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> EngineError:
        said = one_line(error)
        if _is_about_memory(said):
            return out_of_memory(self._name, said)
        return EngineError(f"{self._name}: onnxruntime failed: {said}")

    def close(self) -> None:
        """Free everything but the outputs that were given; nothing of it may be queued any more."""
        self._session = self._binding = None
        self._buffers.clear()
