"""The page of the Python API, from signatures and docstrings."""

from __future__ import annotations

import enum
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import vidgraph

INTRO = """# Python API

Everything in the first section is a name of `vidgraph`: `vidgraph.run`, `vidgraph.load_model` and so on. The
sections after it are for those who build graphs of their own. Names that are not on this page may change without
notice. [Recipes](recipes.md) shows them at work.

Conventions everywhere: RGB unless a name says otherwise; sizes are (height, width); points are (x, y); boxes are
(x1, y1, x2, y2) in continuous displayed pixels, where pixel i covers [i, i + 1); absent is `None` or -1, never NaN.
"""

ERRORS = (
    "VidgraphError",
    "UsageError",
    "GraphError",
    "SourceError",
    "OutputError",
    "CheckpointError",
    "EngineError",
    "DeviceError",
    "DownloadError",
    "ResultsError",
    "MissingExtraError",
    "StageError",
)

PARTS = ("Source", "Stage", "Sink", "EndReason")

# Section -> the module that has the names, and the names ("*": its __all__, but for what has a section of its own).
SECTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "vidgraph": {"vidgraph": ("*",)},
    "Parts of a graph": {
        "vidgraph": PARTS,
        "vidgraph.stages": ("*",),
    },
    "Engines": {"vidgraph.engines": ("*",)},
    "Kernels": {"vidgraph.kernels": ("*",)},
    "Testing": {"vidgraph.testing": ("*",)},
    "Errors": {"vidgraph": ERRORS},
}

PUBLIC = {*vidgraph.__all__, *importlib.import_module("vidgraph.stages").__all__}

TITLES = {"Args": "Arguments"}
DOC_SECTION = re.compile(r"^(Args|Arguments|Attributes|Returns|Yields|Raises|Example|Examples|Source):(.*)$")


def api_page() -> str:
    parts = [INTRO]
    for title, modules in SECTIONS.items():
        parts.append(f"## {title}\n")
        for module_name, names in modules.items():
            module = importlib.import_module(module_name)
            parts += [_entry(module_name, name, getattr(module, name)) for name in _names(module, names)]
    return "\n".join(parts)


def _names(module: Any, names: tuple[str, ...]) -> list[str]:
    apart = {*ERRORS, *PARTS} if module is vidgraph else set()
    found = [name for name in module.__all__ if name not in apart] if names == ("*",) else list(names)
    return [name for name in sorted(found, key=lambda n: (n.isupper(), n.lower())) if not name.startswith("__")]


def _entry(module: str, name: str, value: Any) -> str:
    title = f"### {module}.{name}\n"
    if inspect.isclass(value):
        parts = [title, _code(_class_line(name, value)), docstring(value), _properties(value)]
        parts += [
            f"#### {name}.{label}\n\n{_code(label + signature(m))}\n{docstring(m)}" for label, m in _methods(value)
        ]
        return "\n".join(part for part in parts if part)
    if callable(value):
        return "\n".join([title, _code(name + signature(value)), docstring(value)])
    kind = type(value).__name__
    inner = getattr(getattr(value, "type", None), "__name__", "")
    return f"{title}\n`{kind}{f'[{inner}]' if inner else ''}`\n"


def _class_line(name: str, cls: type) -> str:
    if getattr(cls, "_is_protocol", False):
        return "\n".join([f"class {name}(Protocol):", *_protocol_lines(cls)])
    if issubclass(cls, enum.Enum):
        return "\n".join([f"class {name}(Enum):", *(f"    {member.name} = {member.value!r}" for member in cls)])
    bases = [base.__name__ for base in cls.__bases__ if base is not object]
    if issubclass(cls, BaseException) or cls.__init__ is object.__init__:
        return f"class {name}({', '.join(bases)})" if bases else f"class {name}"
    return f"class {name}{signature(cls)}"


def _protocol_lines(cls: type) -> list[str]:
    """What an object must have, as Python would declare it."""
    lines = [f"    {name}: {_type(kind)}" for name, kind in inspect.get_annotations(cls).items()]
    for name, member in vars(cls).items():
        if not name.startswith("_") and isinstance(member, property):
            lines.append(f"    {name}: {_type(inspect.signature(member.fget).return_annotation)}  # property")
        elif not name.startswith("_") and inspect.isfunction(member):
            lines.append(f"    def {name}{signature(member)}")
    return lines


def _properties(cls: type) -> str:
    """The documented public properties as a list, in source order."""
    lines = []
    for name, member in _members(cls):
        getter = getattr(member, "fget", None) or getattr(member, "func", None)  # property, cached_property
        if name.startswith("_") or not inspect.isfunction(getter) or not getter.__doc__:
            continue
        kind = _type(inspect.signature(getter).return_annotation)
        first = " ".join(docstring(getter).split("\n\n")[0].split())
        lines.append(f"- `{name}: {kind}`: {first}")
    return "\n".join(["*Properties:*", "", *lines, ""]) if lines else ""


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """What the class itself defines, and what a base class does that is no public name."""
    yield from vars(cls).items()
    for base in cls.__mro__[1:]:
        if base.__module__.startswith("vidgraph.") and base.__name__ not in PUBLIC:
            yield from ((name, member) for name, member in vars(base).items() if name not in vars(cls))


def _methods(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods that the class defines and documents, ``__call__`` too, in source order."""
    for name, member in _members(cls):
        function = getattr(member, "__func__", member)
        if (not name.startswith("_") or name == "__call__") and inspect.isfunction(function) and function.__doc__:
            yield name, function


def signature(function: Any) -> str:
    """``(a, *, b: int = 1) -> str``, broken into lines where it is long."""
    try:
        found = inspect.signature(function)
    except ValueError:
        return "(…)"
    parameters = [p for p in found.parameters.values() if p.name not in ("self", "cls")]
    words, starred = [], False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            words.append("*")
            starred = True
        starred = starred or parameter.kind is parameter.VAR_POSITIONAL
        words.append(_parameter(parameter))
    result = "" if found.return_annotation in (found.empty, None, "None") else f" -> {_type(found.return_annotation)}"
    line = f"({', '.join(words)}){result}"
    return line if len(line) < 90 else "(\n    " + ",\n    ".join(words) + f",\n){result}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    kind = "" if parameter.annotation is parameter.empty else f": {_type(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return f"{stars}{parameter.name}{kind}"
    equals = " = " if kind else "="
    return f"{stars}{parameter.name}{kind}{equals}{_default(parameter.default)}"


def _default(value: Any) -> str:
    plain = isinstance(value, str | int | float | bool | type(None)) or value in ((), [], {}, frozenset())
    if plain:
        return repr(value)
    return getattr(value, "__name__", None) or f"{type(value).__name__}(…)"


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def docstring(value: Any) -> str:
    """The docstring as Markdown: Google-style sections become lists, reST roles and double backticks single ones."""
    text = inspect.cleandoc(value.__doc__ or "")
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    out: list[str] = []
    section = ""
    for line in text.splitlines():
        heading = DOC_SECTION.match(line)
        if heading:
            section = heading[1]
            out += ["", f"*{TITLES.get(section, section)}:*{heading[2]}", ""]
        elif section in ("Example", "Examples"):
            out.append(line)
        elif section and line.startswith("    ") and line.strip():
            out.append(_section_line(section, line))
        else:
            section = section if not line.strip() else ""
            out.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip() + "\n"


def _section_line(section: str, line: str) -> str:
    body = line[4:]
    if section in ("Returns", "Yields"):
        return body.strip()
    match = re.match(r"([\w.*, ]+):\s(.*)", body)
    return f"- `{match[1]}`: {match[2]}" if match and not body.startswith(" ") else f"  {body.strip()}"


def _code(text: str) -> str:
    return f"```text\n{text}\n```\n"


if vidgraph.__doc__ is None:
    raise SystemExit("run without -OO: the page is made from docstrings")
