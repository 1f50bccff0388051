"""Writes the figures of a card into docs/performance.md, between two marks.

python -m vidgraph.benchmarks.gpu.render benchmarks/results/gpu.json docs/performance.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...pipeline.errors import UsageError

BEGIN, END = "<!-- figures of a card -->", "<!-- end of the figures of a card -->"

Figures = Mapping[str, Any]


def rendered(record: Figures, name: str) -> str:
    """The figures of a file as Markdown.

    Args:
        record: what ``python -m vidgraph.benchmarks.gpu -o`` wrote.
        name: of the file.

    Raises:
        UsageError: it is something else.
    """
    if record.get("kind") != "gpu" or "parts" not in record.get("figures", {}):
        raise UsageError(
            f"{name} has no figures of a card; write some with: python -m vidgraph.benchmarks.gpu -o {name}"
        )
    parts = record["figures"]["parts"]
    paragraphs = ["\n".join(_head(record, name))]
    for part, write in _WRITERS.items():
        if parts.get(part, {}).get("rows"):
            paragraphs.append("\n".join(write(parts[part])))
    paragraphs.append("\n".join(_states(parts)))
    return "\n\n".join(paragraphs)


def replaced(page: str, text: str) -> str:
    """The page with ``text`` between the marks.

    Raises:
        UsageError: the marks are not there.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"the page has no lines {BEGIN} and {END}, between which the figures belong")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def _head(record: Figures, name: str) -> Iterator[str]:
    card, machine = record["figures"]["parts"].get("machine", {}), record["machine"]
    versions = {**record["versions"], **card.get("packages", {})}
    yield (
        f"{card.get('card', 'a card')} (compute capability {card.get('capability', '?')}), driver for CUDA "
        f"{card.get('driver_cuda', '?')}, {machine['cores']} cores of an {machine['processor']}; "
        f"{', '.join(f'{package} {version}' for package, version in versions.items())}; "
        f"commit {record['commit']}, {record['measured_at'][:10]} (`{Path(name).name}`)."
    )
    if record["figures"]["scale"] != "full":
        yield "Measured with small inputs (`--quick`): these times say nothing."


def _copies(part: Figures) -> Iterator[str]:
    yield from _table(part["rows"], {"copy": _text("copy"), "GB/s": _text("gb_per_s")})


def _kernels(part: Figures) -> Iterator[str]:
    yield f"Kernels: {_sum_same(part['rows'])}; copying on the card moves {part.get('copy_gb_per_s', '?')} GB/s."
    yield ""
    columns = {
        "kernel": _text("kernel"), "task": _text("task"), "launches": _text("launches"),
        "kernels, ms": _text("kernels_ms"), "the call, ms": _text("call_ms"),
        "GB/s": _text("gb_per_s"), "of copying": _share("share_of_copy"),
    }  # fmt: skip
    yield from _table(part["rows"], columns)


def _sum_same(rows: Sequence[Figures]) -> str:
    same = sum(row["same"] == row["of"] for row in rows)
    return f"{same} of {len(rows)} give what the CPU gives"


def _chain(part: Figures) -> Iterator[str]:
    frame = part.get("frame", [0, 0])
    size = f"{frame[1]}x{frame[0]}"
    yield f"Post-processing of {part.get('detections')} detections at {size}; wanted: {part['target_ms']} ms."
    yield ""
    columns = {
        "step": _text("step"), "launches": _text("launches"), "kernels, ms": _text("kernels_ms"),
        "queued, ms": _text("queued_ms"), "the call, ms": _text("call_ms"),
    }  # fmt: skip
    yield from _table(part["rows"], columns)


def _beside(part: Figures) -> Iterator[str]:
    columns = {
        "task": _text("task"), "formulation": _text("name"), "queued, ms": _text("queued_ms"),
        "the call, ms": _text("call_ms"), "times ours": _text("x_call_ms"), "same": _share("agrees"),
    }  # fmt: skip
    yield from _table(part["rows"], columns)


def _engines(part: Figures) -> Iterator[str]:
    columns = {
        "engine": _text("engine"), "precision": _text("precision"), "batch": _text("batch"),
        "latency p50, p95, p99, ms": _latency, "pictures/s": _text("pictures_per_s"),
        "worst difference": _text("worst_relative"),
    }  # fmt: skip
    yield from _table(part["rows"], columns)


def _pipeline(part: Figures) -> Iterator[str]:
    for name, found in part.items():
        if name.startswith("overhead "):
            yield (
                f"- {name.removeprefix('overhead ')} at batch 1 ({found['engine']}, {found['precision']}): a run "
                f"{found['run_ms']} ms a frame, the engine alone {found['engine_ms']} ms: {found['share']:.1%} more "
                f"(wanted: at most {found['target_share']:.0%})"
            )
    yield ""
    columns = {
        "model": _text("model"), "engine": _text("engine"), "precision": _text("precision"), "batch": _text("batch"),
        "streams": _text("streams"), "frames/s": _text("fps"), "latency p50, p95, p99, ms": _latency,
    }  # fmt: skip
    yield from _table(part["rows"], columns)


def _sanitizer(part: Figures) -> Iterator[str]:
    yield ", ".join(f"compute-sanitizer's {row['tool']} found {row['found']}" for row in part["rows"]) + "."


def _states(parts: Figures) -> Iterator[str]:
    for name, part in parts.items():
        reason = f": {part['reason']}" if "reason" in part else ""
        if part["state"] != "done":
            yield f"- {name}: {part['state']}{reason}"
        yield from (f"- {name}, left out: {each['what']}: {each['reason']}" for each in part.get("skipped", ()))
        yield from (f"- {name}, wrong: {text}" for text in part.get("wrong", ()))


_WRITERS: dict[str, Callable[[Figures], Iterator[str]]] = {
    "copies": _copies, "kernels": _kernels, "chain": _chain, "beside": _beside, "engines": _engines,
    "pipeline": _pipeline, "sanitizer": _sanitizer,
}  # fmt: skip

Column = Callable[[Figures], str]


def _text(name: str) -> Column:
    return lambda row: "" if row.get(name) is None else str(row[name])


def _share(name: str) -> Column:
    return lambda row: "" if row.get(name) is None else f"{row[name]:.1%}"


def _latency(row: Figures) -> str:
    return ", ".join(str(row["latency_ms"][name]) for name in ("p50", "p95", "p99"))


def _table(rows: Sequence[Figures], columns: Mapping[str, Column]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(column(row).replace('|', '/') for column in columns.values())} |"


def main(words: Sequence[str] | None = None) -> None:
    """Write the figures of a file into a page."""
    parser = argparse.ArgumentParser(
        prog="python -m vidgraph.benchmarks.gpu.render", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("figures", type=Path, help="a file of python -m vidgraph.benchmarks.gpu -o")
    parser.add_argument("page", type=Path)
    options = parser.parse_args(words)
    try:
        text = rendered(json.loads(options.figures.read_text("utf-8")), str(options.figures))
        options.page.write_text(replaced(options.page.read_text("utf-8"), text), "utf-8")
    except UsageError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
