"""OpenVINO's errors as a user can read them.

They come as lines: where in its sources something was checked, the node with all that it reads and gives, and what is
wrong; for a file it cannot read, a summary of operators.
"""

from __future__ import annotations

import re

from .spec import shortened

_NOISE = (
    "Exception from ", "FrontEnd API failed", "Model wasn't fully converted", "Summary:", "Details:",
    "Conversion is failed for:", "While validating ONNX node", "To facilitate the conversion", "Not Implemented:",
)  # fmt: skip
_CHECK = re.compile(r"^(?:\[CPU\] .*)?Check '.*' failed at \S*:?$")
_OPERATOR = re.compile(r"^(?P<kind>\w+)-\d+ with a message:$")
_NODE = re.compile(r"^While validating node '(?:\w+::)?(?P<kind>\w+) .*?(?: with friendly_name '(?P<name>.*)')?:?$")


def one_line(error: Exception) -> str:
    """What is wrong and with which node, shortened."""
    lines = [line.strip(" -") for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith(_NOISE) and not _CHECK.match(line)]
    lines = [line for line in lines if line.startswith("No conversion rule found")] or lines  # the rest follows from it
    text = "; ".join(_NODE.sub(_node, _OPERATOR.sub(r"\g<kind>:", line)) for line in lines).replace(":; ", ": ")
    return shortened(re.sub(r"\b(\w+): \1\b", r"\1", text)) or type(error).__name__


def _node(found: re.Match[str]) -> str:
    """Its kind, and its name unless that is another each time."""
    kind, name = found["kind"], found["name"] or ""
    return f"{kind}:" if not name or re.fullmatch(rf"{kind}_\d+", name) else f"{kind} {name}:"
