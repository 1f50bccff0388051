"""Writes the generated pages of this folder from the installed package.

python docs/generate.py            write docs/cli.md, docs/api.md, docs/models.md and docs/cameras.schema.json
python docs/generate.py --check    exit 1 if one of them is not up to date
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))

NOTE = "<!-- Written by docs/generate.py; do not edit. -->\n\n"


def pages() -> dict[str, Callable[[], str]]:
    """Name of each generated page, and the function that gives its text."""
    from generate_api import api_page
    from generate_cli import cli_page
    from generate_models import models_page
    from vidgraph.cli.cameras import schema_text

    marked = {"cli.md": cli_page, "api.md": api_page, "models.md": models_page}
    return {**{name: _with_note(page) for name, page in marked.items()}, "cameras.schema.json": schema_text}


def _with_note(page: Callable[[], str]) -> Callable[[], str]:
    return lambda: NOTE + page()


def outdated() -> list[str]:
    """The pages whose text is not what would be generated now."""
    current = {name: (DOCS / name).read_text("utf-8") if (DOCS / name).exists() else "" for name in pages()}
    return [name for name, page in pages().items() if current[name] != page()]


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/.")
    parser.add_argument("--check", action="store_true", help="only say which pages are not up to date")
    if parser.parse_args().check:
        stale = outdated()
        for name in stale:
            print(f"docs/{name} is not up to date; run: make docs", file=sys.stderr)
        return 1 if stale else 0
    for name, page in pages().items():
        (DOCS / name).write_text(page(), "utf-8")
        print(f"wrote docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
