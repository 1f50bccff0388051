"""What a network is refused for, as a user can read it: the operator, the node, and the reason without its sources."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..onnx_file import lenient_text
from ..spec import NetworkRefused, shortened

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_FUNCTION = re.compile(r"^(?:import|check)(?P<operator>[A-Z]\w+)$")
_WRAPPED = re.compile(r"Error Code \d+: [\w ]+\((?P<text>.*)\)\s*$", re.DOTALL)
_PLACE = re.compile(r"\s*(?:In \w+ )?at /\S+:\d+|\s*In \w+(?= |$)|^\[\w+\.cpp::\w+::\d+\]\s*")
_QUOTED = re.compile(r'^.*&& "(?P<text>.*)"\s*$', re.DOTALL)
_ASSERTION = re.compile(r"^(?:\[\d+\] )?Assertion .*? failed[.:]\s*|^(?:\[\d+\] )?Assertion failed: .*?: (?=[A-Z])")
_MISSING = re.compile(r"[Pp]lugin not found|not found in (?:the )?plugin registry|was not found in plugin|^false$")
_NO_RUNNER = re.compile(r"(?P<layer>\S+) has no runners that implement it")
NO_OPERATOR = "there is no such operator"


def refused(title: str, name: str, model: ModelProto, parser: Any) -> NetworkRefused:
    """The error for a network that the parser does not take.

    Args:
        title: of the library.
        name: of the network.
        model: what was parsed.
        parser: an ``OnnxParser`` with errors.
    """
    reasons = [_of_parser(parser.get_error(index), model) for index in range(parser.num_errors)]
    return NetworkRefused(f"cannot build {name} with {title}", "; ".join(dict.fromkeys(reasons)) or "it is not parsed")


def not_built(title: str, name: str, model: ModelProto, said: Sequence[str]) -> NetworkRefused:
    """The error for a network that was parsed and not built; ``said`` are the errors in the log."""
    reasons = [_of_builder(text, model) for text in said]
    return NetworkRefused(
        f"cannot build {name} with {title}", "; ".join(dict.fromkeys(reasons)) or "no reason is given"
    )


def reason_of(text: str) -> str:
    """A message of the library without where in its sources it comes from, shortened."""
    wrapped = _WRAPPED.search(text)
    text = _PLACE.sub("", wrapped["text"] if wrapped else text).strip()
    text = _ASSERTION.sub("", text)
    quoted = _QUOTED.match(text)
    text = quoted["text"] if quoted else text
    return shortened(NO_OPERATOR if _MISSING.search(text) else text.rstrip(" .")) or "no reason is given"


def _of_parser(error: Any, model: ModelProto) -> str:
    operator, name = error.node_operator(), error.node_name()
    if not operator:  # of some importers the node is not said
        found = _FUNCTION.match(error.func() or "")
        alike = [node for node in model.graph.node if found and node.op_type == found["operator"]]
        operator = found["operator"] if found else ""
        name = _shown(alike[0]) if len(alike) == 1 else ""
    node = " ".join(filter(None, (operator, name)))
    return f"{node}: {reason_of(error.desc())}" if node else reason_of(error.desc())


def _of_builder(text: str, model: ModelProto) -> str:
    reason = reason_of(text)
    node = _named_in(text, model)
    if node is None:
        return reason
    if _NO_RUNNER.search(reason):
        reason = NO_OPERATOR
    name = _shown(node)
    reason = re.sub(rf"^(?:I\w+Layer )?(?:{re.escape(name)}: )+", "", reason)
    return f"{node.op_type} {name}: {reason}"


def _named_in(text: str, model: ModelProto) -> NodeProto | None:
    """The node whose name is in a message, the longest first; layers are called as their nodes, and a number."""
    words = set(re.findall(r"[^\s:(),\[\]]+", text))
    words |= {re.sub(r"_\d+$", "", word) for word in words}
    named = [node for node in model.graph.node if _shown(node) in words]
    return max(named, key=lambda node: len(_shown(node)), default=None)


def _shown(node: NodeProto) -> str:
    return lenient_text(node.name or (node.output[0] if node.output else ""))
