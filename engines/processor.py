"""What this processor is and can do, as far as engines and their cache care."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_TOLD = (
    "sse4_2", "avx", "avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_bf16", "amx_int8", "amx_fp16", "asimd", "asimdhp", "bf16", "i8mm", "sve",
)  # fmt: skip
_NATIVE_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


@dataclass(frozen=True, slots=True)
class Processor:
    """Model name, and the flags the system reports (empty where it does not say)."""

    model: str
    flags: frozenset[str]

    @property
    def instruction_sets(self) -> tuple[str, ...]:
        """The instruction sets that matter to engines, plainest first."""
        return tuple(name for name in _TOLD if name in self.flags)

    @property
    def may_have_bf16(self) -> bool:
        """Whether bf16 arithmetic is native; True where the system does not report flags."""
        return not self.flags or bool(self.flags & _NATIVE_BF16)


def parse_cpuinfo(text: str) -> Processor:
    """The first processor of ``/proc/cpuinfo`` (x86 and ARM spell the flags line differently)."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    family = "/".join(fields[name] for name in ("cpu family", "model", "stepping") if name in fields)
    model = " ".join(part for part in (fields.get("model name", platform.machine()), family) if part)
    return Processor(model, frozenset(fields.get("flags", fields.get("Features", "")).split()))


@lru_cache(maxsize=1)
def processor() -> Processor:
    """This machine's processor."""
    try:
        return parse_cpuinfo(Path("/proc/cpuinfo").read_text())
    except OSError:
        return Processor(platform.processor() or platform.machine(), frozenset())
