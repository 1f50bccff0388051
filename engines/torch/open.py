"""Opening an exported program with torch: on the CPU, or on a card where torch's build has CUDA."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from ...kernels.cuda.driver import driver
from ...kernels.device import HOST, Device
from ...pipeline.errors import EngineError
from ..card import card_errors
from ..spec import EngineDescription, EngineOptions, NetworkRefused, TensorSpec, shortened
from .archive import read_program
from .engine import FORKS, OnCard, OnHost, Place, Program, TorchEngine, no_memory, specs_of

LOG = logging.getLogger("vidgraph")


def describe() -> EngineDescription:
    """Version, devices and precisions; asks neither the driver nor the card."""
    devices = ("cpu", "cuda") if torch.backends.cuda.is_built() else ("cpu",)
    return EngineDescription(str(torch.__version__), devices, ("fp32", "fp16"))


def open_network(path: Path, options: EngineOptions) -> TorchEngine:
    """Open a file of ``torch.export.save``.

    Raises:
        EngineError: the file cannot be read, is damaged or would run code, has open shapes or another precision; there
            is no such card, it has no memory left, or torch is built without CUDA; or this process was forked after
            torch had run.
        NetworkRefused: it has something that this engine does not take.
    """
    FORKS.begin(path.name)
    place = place_of(path.name, options)
    exported, metadata = read_program(path)
    inputs, outputs = specs_of(path.name, exported, metadata)
    own = "fp16" if any(spec.dtype == "float16" for spec in inputs) else "fp32"
    precision = check_precision(path.name, own, options.precision)
    try:
        with place.queue([]):  # the first run comes after what is done to the weights
            call = _callable(exported, outputs, place.device, to_half=precision != own)
    except torch.OutOfMemoryError as error:
        raise no_memory(path.name, error) from error
    except Exception as error:  # it documents no types; SyntaxError where names in the file make no function
        raise NetworkRefused(f"cannot open {path.name}", f"torch: {shortened(str(error), 120)}") from error
    program = Program(call, inputs, outputs, precision)
    if precision != own:
        _say_unchecked(path.name)
        _try(path.name, program, place)
    return TorchEngine("torch", path.name, program, place, options)


@lru_cache(maxsize=256)
def _say_unchecked(name: str) -> None:
    """However often a process opens the program."""
    LOG.warning(
        "%s runs in fp16, which was not compared with fp32; vidgraph compare --reference torch:fp32 "
        "--candidate torch:fp16 does", name,
    )  # fmt: skip


def check_precision(name: str, own: str, asked: str) -> str:
    """The precision that a program of ``own`` precision runs in; fp16 of one of fp32 only where it is asked for.

    Raises:
        EngineError: it cannot be had.
    """
    if asked not in ("auto", own, "fp16"):
        raise EngineError(f"{name}: precision {asked!r} is not available with torch, which has fp16 and here {own}")
    return own if asked == "auto" else asked


def place_of(name: str, options: EngineOptions) -> Place:
    """Where a network called ``name`` is to run; on a card, fp32 is exact from now on in this process.

    Raises:
        EngineError: there is no such card, or torch cannot use it.
    """
    device = Device.of(options.device)
    if device == HOST:
        return OnHost(options.threads_per_request)
    if not torch.backends.cuda.is_built():
        raise EngineError(
            f"cannot run {name} on {device}: torch {torch.__version__} is built without CUDA; install a build of torch "
            f"for CUDA. Use device cpu"
        )
    with card_errors(f"cannot run {name} on {device}"):
        driver().card(device)
    if device.index >= torch.cuda.device_count():
        raise EngineError(
            f"cannot run {name} on {device}: torch {torch.__version__} finds {torch.cuda.device_count()} cards that it "
            f"can use; the driver may be too old for CUDA {torch.version.cuda}. Use device cpu"
        )
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # it rounds fp32 to 10 bits
    if options.deterministic:
        torch.backends.cudnn.deterministic = True
    try:
        with card_errors(f"cannot run {name} on {device}"):
            return OnCard(device)
    except RuntimeError as error:  # of torch, when it starts CUDA
        raise EngineError(f"cannot run {name} on {device}: {shortened(str(error))}. Use device cpu") from error


def _callable(exported: Any, outputs: tuple[TensorSpec, ...], device: Device, *, to_half: bool) -> Any:
    """What runs a program with flat inputs and outputs, of fp16 in between where it is to."""
    from torch.export.passes import move_to_device_pass
    from torch.utils import _pytree as pytree

    if device != HOST:
        exported = move_to_device_pass(exported, str(device))
    module, tree = exported.module(check_guards=False), exported.call_spec.in_spec
    if to_half:
        _without_type_checks(module).half()
    kinds = [getattr(torch, str(spec.dtype)) for spec in outputs]

    def call(tensors: Sequence[Any]) -> list[Any]:
        if to_half:
            tensors = [each.half() if each.dtype == torch.float32 else each for each in tensors]
        args, kwargs = pytree.tree_unflatten(list(tensors), tree)
        answers = module.forward(*args, **kwargs)  # calling the module prints a traceback where it fails
        return [each.to(kind) for each, kind in zip(pytree.tree_leaves(answers), kinds, strict=True)]

    return call


def _without_type_checks(module: Any) -> Any:
    """A module that was exported, without the nodes that insist on the types it was exported with."""
    for node in list(module.graph.nodes):
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            module.graph.erase_node(node)
    module.recompile()
    return module


def _try(name: str, program: Program, place: Place) -> None:
    """
    Raises:
        EngineError: the card has no memory left.
        NetworkRefused: fp16 and fp32 do not go together in the program.
    """
    zeros = [torch.zeros(spec.shape, dtype=getattr(torch, str(spec.dtype))) for spec in program.inputs]
    try:
        with place.queue([]), torch.inference_mode():
            program.call([each.to(str(place.device)) for each in zeros])
    except torch.OutOfMemoryError as error:
        raise no_memory(name, error) from error
    except RuntimeError as error:
        raise NetworkRefused(f"cannot run {name} in fp16 with torch", shortened(str(error))) from error
