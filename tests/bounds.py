"""How much memory a command takes, for tests of files that announce more than they are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_PROGRAM = """
import sys
from vidgraph.cli import main
code = main(sys.argv[1:])
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024)
sys.exit(code)
"""


def peak_mib(folder: Path, environment: Mapping[str, str], *words: object) -> tuple[int, str, int]:
    """Run ``vidgraph`` in ``folder``: its exit code, its standard error, and the most memory that it held, MiB."""
    command = [sys.executable, "-P", "-W", "error", "-c", _PROGRAM, *map(str, words)]
    ended = subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=120, check=False
    )
    return ended.returncode, ended.stderr.strip(), int(ended.stdout.split()[-1])
