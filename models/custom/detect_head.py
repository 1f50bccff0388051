"""Which head a network's outputs are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...engines.spec import TensorSpec
from ...pipeline.errors import UsageError, nearest
from ...pipeline.types.picture import Size
from .description import Description
from .head import Head, NotSupported
from .heads import HEADS, OF_TASK, WANTED, fitting


def recognise(
    outputs: Sequence[TensorSpec], about: Description, size: Size, *, name: str = "the network", head: str | None = None
) -> Head:
    """The one head that fits.

    Args:
        outputs: of the network, as heads see them.
        about: what else is known; a head that it names is the only one asked.
        size: (height, width) of the input.
        name: of the file, for messages; its TOML has the same stem.
        head: as ``about.head``, and before it.

    Raises:
        UsageError: none fits, or several do; the message has every output and what would settle it.
    """
    asked = head or about.head
    if asked is not None and asked not in HEADS:
        raise UsageError(f"unknown head {asked!r}; {nearest(asked, HEADS)}")
    about = replace(about, head=asked)
    seen = ", ".join(f"{spec.name} ({spec.dtype} {list(spec.shape)})" for spec in outputs)
    kinds = [asked] if asked else list(HEADS) if about.task is None else OF_TASK.get(about.task, ())
    if not kinds:
        source = about.sources.get("task", "the description")
        raise UsageError(
            f"{name} is made for the task {about.task!r} ({source}), which no head reads; --head raw gives the "
            f"tensors; its outputs are {seen}"
        )
    answers = {kind: fitting(kind)(outputs, about, size) for kind in kinds}
    fits = [answer for answer in answers.values() if answer is not None and not isinstance(answer, str)]
    if len(fits) == 1:
        return fits[0]
    toml = f"{name.rpartition('.')[0] or name}.toml"
    if fits:
        several = [each.kind for each in fits]
        raise UsageError(
            f"{name}: its outputs, {seen}, fit {' and '.join(several)}; say which it is: --head {several[0]} "
            f'(head="{several[0]}"), or head = "{several[0]}" in {toml}'
        )
    final = next((answer for answer in answers.values() if isinstance(answer, NotSupported)), None)
    if final is not None:
        raise UsageError(f"{name}: {final}; --head raw gives the tensors; its outputs are {seen}")
    if asked:
        reason = answers[asked] or f"that reads {WANTED[asked]}"
        raise UsageError(f"{name} is not {asked} ({reason}); its outputs are {seen}")
    reasons = "; ".join(f"{kind}: {answer}" for kind, answer in answers.items() if isinstance(answer, str))
    raise UsageError(
        f"{name}: no head fits its outputs, {seen}{f' ({reasons})' if reasons else ''}; say more with "
        f"--head, --labels or {toml} (vidgraph export --template {name} writes it), or take the tensors with --head raw"
    )
