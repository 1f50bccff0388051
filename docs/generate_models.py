"""The page of models, from the table that the package has."""

from __future__ import annotations

from vidgraph.models.registry import FAMILIES, MODELS, files_of
from vidgraph.models.variant import Variant

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

FILES = """## Which file belongs to which name

{families}

An exported file (`vidgraph export`) carries its configuration; it needs neither the right name by heart nor torch.
"""


def models_page() -> str:
    rows = "\n".join(_row(row) for row in MODELS.values())
    files = FILES.format(families="\n\n".join(filter(None, map(files_of, FAMILIES))))
    return "\n".join([INTRO.format(rows=rows), *map(_section, MODELS.values()), files])


def _row(row: Variant) -> str:
    checked = "verified" if row.verified else "**unverified**"
    return f"| [`{row.name}`](#{row.name}) | {row.task} | {row.trained_on} | {row.licence} | {checked} |"


def _section(row: Variant) -> str:
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
        how = "comes with the package" if weights.pretrained else how
        digest = f", SHA-256 `{weights.sha256}`" if weights.sha256 else ""
        lines.append(f"- Weights: `{weights.file}`: {how}{digest}")
    return "\n".join([*lines, ""])
