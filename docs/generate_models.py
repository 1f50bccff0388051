"""The page of models, from the table that the package has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vidgraph.models.registry import FAMILIES, MODELS, files_of
from vidgraph.models.variant import Variant

MEASURED = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "published"
INTRO = """# Models

The same table is `vidgraph models` on the command line, and `vidgraph models NAME` for one of them.

```bash
vidgraph models
vidgraph models retinaface-1mb
```

*Verified* means that outputs of ours are held, in tests, against recorded outputs of the official code. What is not
verified has no official code to compare with. *As published* are networks that others have published as a file, which
runs here as it is. Licences are what the sources state; weights may be under other terms
than code, and data sets under others again: check them for your use.

| model | finds | trained on | licence | checked |
|---|---|---|---|---|
{rows}

## Published networks

Each is a file that somebody has published with a licence, and a TOML file in `models/published/` that says how its
picture is made and what its outputs mean; [adding one](adding.md#a-published-network) is one such file. `vidgraph pull`
gets the network from where it was published, at a fixed commit, and checks its SHA-256.

<!-- needs: a network connection -->
```bash
vidgraph pull deimv2-femto
```

```bash
vidgraph run in.mp4 --model deimv2-femto -o out.mp4 -o out.jsonl
```

{measured}
"""

MEASUREMENT = """Figures here are those of `vidgraph eval` on the first 128 pictures of COCO val2017 (mIoU: of the 20
classes of Pascal VOC in the 100 of them that have a panoptic truth). They are some points above those of all 5000, so
compare within this column only. Milliseconds are those of a processor (`vidgraph bench`, one
thread of an {machine}, fp32): making the input of a frame of 720 or 1080 lines, the network, and the results.
`benchmarks/results/published/` has both.

| model | licence | published | here | ms |
|---|---|---|---|---|
{rows}"""

FILES = """## Which file belongs to which name

{families}

An exported file (`vidgraph export`) carries its configuration; it needs neither the right name by heart nor torch.
"""


def models_page() -> str:
    rows = "\n".join(_row(row) for row in MODELS.values())
    published = [row for row in MODELS.values() if row.settings is not None]
    files = FILES.format(families="\n\n".join(filter(None, map(files_of, FAMILIES))))
    return "\n".join([INTRO.format(rows=rows, measured=_measured(published)), *map(_section, MODELS.values()), files])


def _row(row: Variant) -> str:
    checked = "as published" if row.settings else "verified" if row.verified else "**unverified**"
    return f"| [`{row.name}`](#{row.name}) | {row.task} | {row.trained_on} | {row.licence} | {checked} |"


def _measured(published: list[Variant]) -> str:
    """The table of published networks."""
    rows, machine = [], ""
    for row in published:
        claimed = ", ".join(f"{each.value:.3f} ({each.figure}, {each.data})" for each in row.published) or "-"
        judged, timed = _report(row, "eval"), _report(row, "bench")
        figures = judged["figures"] if judged else {}
        figure = next((f"{figures[name]:.3f} ({name})" for name in ("box AP", "mIoU") if name in figures), "-")
        spent = "-"
        if timed:
            parts = timed["figures"]["parts"]
            spent = f"{sum(parts[part]['cpu_ms'] for part in ('preprocess', 'infer', 'postprocess')):.1f}"
            machine = timed["machine"]["processor"]
        rows.append(f"| [`{row.name}`](#{row.name}) | {row.licence} | {claimed} | {figure} | {spent} |")
    return MEASUREMENT.format(machine=machine, rows="\n".join(rows))


def _report(row: Variant, kind: str) -> dict[str, Any] | None:
    """What ``vidgraph eval`` or ``bench`` wrote of a network; None where it was not asked."""
    file = MEASURED / f"{row.name}.{kind}.json"
    return json.loads(file.read_text("utf-8")) if file.exists() else None


def _section(row: Variant) -> str:
    lines = [f"## {row.name}\n"]
    if row.aliases:
        lines.append(f"- Also: {', '.join(f'`{alias}`' for alias in row.aliases)}")
    lines += [
        f"- Source: {row.source}",
        f"- Licence: {row.licence}",
        f"- Trained on: {row.trained_on}",
        f"- Checked: {'verified' if row.verified else row.status}; {row.verification}",
    ]
    if row.settings:
        lines.append(f"- Described in: `models/published/{row.settings.name}`")
    for weights in row.weights:
        how = f"`vidgraph pull {row.name}`" if weights.address else "no pinned address; see the source"
        how = "comes with the package" if weights.pretrained else how
        digest = f", SHA-256 `{weights.sha256}`" if weights.sha256 else ""
        lines.append(f"- Weights: `{weights.file}`: {how}{digest}")
    return "\n".join([*lines, ""])
