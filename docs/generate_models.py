"""The page of models, from the table that the package has."""

from __future__ import annotations

from vidgraph.models.registry import MODELS
from vidgraph.models.variant import ModelRow

INTRO = """# Models

The same table is `vidgraph models` on the command line, and `vidgraph models NAME` for one of them.

```bash
vidgraph models
vidgraph models retinaface-1mb
```

*Verified* means that outputs of ours are held, in tests, against recorded outputs of the official code. What is not
verified has no official code to compare with. Licences are what the sources state; weights may be under other terms
than code, and data sets under others again: check them for your use.

| model | finds | trained on | licence | checked |
|---|---|---|---|---|
{rows}
"""

FAMILIES = """## Which file belongs to which name

The RetinaFace files of two projects have the same key names and fit into each other's network, with worse results and
no error: activations and anchors differ. vidgraph knows the published files by their SHA-256 and refuses the wrong
name. For other files the name decides:

- `retinaface`, `retinaface-resnet50`: trained with Pytorch_Retinaface;
- `retinaface-1mb`, `retinaface-slim`, `retinaface-rfb`: trained with Face-Detector-1MB-with-landmark.

A YOLACT or YolactEdge file is recognised by its tensors and its name (`--model yolact_edge_54_800000.pth`), and has
as many classes as it was trained with. Where several models fit, for example YouTube-VIS and COCO variants trained on
classes of your own, all are named and you choose one.

An exported file (`vidgraph export`) carries its configuration; it needs neither the right name by heart nor torch.
"""


def models_page() -> str:
    rows = "\n".join(_row(row) for row in MODELS.values())
    return "\n".join([INTRO.format(rows=rows), *map(_section, MODELS.values()), FAMILIES])


def _row(row: ModelRow) -> str:
    checked = "verified" if row.verified else "**unverified**"
    return f"| [`{row.name}`](#{row.name}) | {row.task} | {row.trained_on} | {row.licence} | {checked} |"


def _section(row: ModelRow) -> str:
    lines = [f"## {row.name}\n"]
    if row.aliases:
        lines.append(f"- Also: {', '.join(f'`{alias}`' for alias in row.aliases)}")
    lines += [
        f"- Source: {row.source}",
        f"- Licence: {row.licence}",
        f"- Trained on: {row.trained_on}",
        f"- Checked: {'verified' if row.verified else 'unverified'}; {row.verification}",
    ]
    for weights in row.weights:
        how = f"`vidgraph pull {row.name}`" if weights.address else "no pinned address; see the source"
        how = "comes with the package" if weights.shipped else how
        digest = f", SHA-256 `{weights.sha256}`" if weights.sha256 else ""
        lines.append(f"- Weights: `{weights.file}`: {how}{digest}")
    return "\n".join([*lines, ""])
