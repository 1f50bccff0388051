"""Which head a network's outputs are of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...engines.network_file import TensorInfo
from ...engines.spec import TensorSpec
from ...pipeline.errors import UsageError, nearest
from ...pipeline.types.picture import Size
from .description import Description
from .head import Head, NotSupported
from .heads import HEADS, OF_TASK, WANTED, fitting

Answers = Mapping[str, Head | str | None]


@dataclass(frozen=True, slots=True)
class _Network:
    """What messages say of a network: ``name`` of the file, and its tensors."""

    name: str
    outputs: Sequence[TensorSpec]
    inputs: Sequence[TensorInfo]

    @property
    def toml(self) -> str:
        return f"{self.name.rpartition('.')[0] or self.name}.toml"

    @property
    def tensors(self) -> str:
        """Every output and every input, with name, type and shape."""
        given = f"; its inputs are {', '.join(map(str, self.inputs))}" if self.inputs else ""
        return f"its outputs are {_shown(self.outputs)}{given}"

    def refusal(self, what: str) -> UsageError:
        return UsageError(f"{self.name}{what}; {self.tensors}")


def recognise(
    outputs: Sequence[TensorSpec],
    about: Description,
    size: Size,
    *,
    name: str = "the network",
    head: str | None = None,
    inputs: Sequence[TensorInfo] = (),
) -> Head:
    """The one head that fits.

    Args:
        outputs: of the network, as heads see them.
        about: what else is known; a head that it names is the only one asked.
        size: (height, width) of the input.
        name: of the file, for messages; its TOML has the same stem.
        head: as ``about.head``, and before it; of the head that is named here outputs may be left unread.
        inputs: of the network, for messages.

    Raises:
        UsageError: none fits, or several do, or an output is left that nothing reads and that is not ignored; the
            message has every output and input, and what would settle it.
    """
    network = _Network(name, outputs, inputs)
    asked = head or about.head
    if asked is not None and asked not in HEADS:
        raise UsageError(f"unknown head {asked!r}; {nearest(asked, HEADS)}")
    about = replace(about, head=asked)
    kinds = [asked] if asked else list(HEADS) if about.task is None else OF_TASK.get(about.task, ())
    if not kinds:
        source = about.sources.get("task", "the description")
        raise network.refusal(
            f" is made for the task {about.task!r} ({source}), which no head reads; --head raw gives the tensors"
        )
    seen = _not_ignored(network, about)
    answers = {kind: fitting(kind)(seen, about, size) for kind in kinds}
    fits = [answer for answer in answers.values() if answer is not None and not isinstance(answer, str)]
    fits = [each for each in fits if not unread(each, outputs, about)] or fits
    if len(fits) != 1:
        raise _refused(network, answers, fits, asked)
    left = unread(fits[0], outputs, about)
    if left and head is None:
        names = ", ".join(f'"{spec.name}"' for spec in left)
        raise network.refusal(
            f": {fits[0].kind} does not read {_shown(left)}; if nothing else is needed of the network, say "
            f"ignore = [{names}] in {network.toml}, or --head {fits[0].kind}"
        )
    return fits[0]


def unread(head: Head, outputs: Iterable[TensorSpec], about: Description) -> list[TensorSpec]:
    """Those of ``outputs`` that ``head`` does not read, and that are not ignored."""
    known = head.reads.union(about.ignore or ())
    return [spec for spec in outputs if spec.name not in known]


def _not_ignored(network: _Network, about: Description) -> list[TensorSpec]:
    """The outputs that heads see.

    Raises:
        UsageError: one is to be ignored that there is not, or none is left.
    """
    ignored = set(about.ignore or ())
    seen = [spec for spec in network.outputs if spec.name not in ignored]
    unknown = sorted(ignored - {spec.name for spec in network.outputs})
    if unknown or not seen:
        what = f"the output {unknown[0]!r}, which it does not have" if unknown else "all of its outputs"
        raise network.refusal(f": {about.sources.get('ignore', '`ignore`')} ignores {what}; correct ignore")
    return seen


def _refused(network: _Network, answers: Answers, fits: Sequence[Head], asked: str | None) -> UsageError:
    """Why none of the heads that were asked fits, or more than one."""
    if fits:
        several, first = " and ".join(each.kind for each in fits), fits[0].kind
        return network.refusal(
            f": its outputs fit {several}; say which it is: --head {first} "
            f'(head="{first}"), or head = "{first}" in {network.toml}'
        )
    final = next((answer for answer in answers.values() if isinstance(answer, NotSupported)), None)
    if final is not None:
        return network.refusal(f": {final}; --head raw gives the tensors")
    if asked:
        return network.refusal(f" is not {asked} ({answers[asked] or f'that reads {WANTED[asked]}'})")
    reasons = "; ".join(f"{kind}: {answer}" for kind, answer in answers.items() if isinstance(answer, str))
    return network.refusal(
        f": no head fits its outputs{f' ({reasons})' if reasons else ''}; say more with --head, --labels or "
        f"{network.toml} (vidgraph export --template {network.name} writes it), or take the tensors with --head raw"
    )


def _shown(outputs: Iterable[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} ({spec.dtype} {list(spec.shape)})" for spec in outputs)
