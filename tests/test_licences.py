"""What vidgraph installs is under a permissive licence or the LGPL; anything unknown fails."""

from __future__ import annotations

import re
from importlib import metadata

import pytest

PERMISSIVE = (
    r"MIT(-0|-CMU)?|MIT License|Apache(-2\.0| License 2\.0| Software License| 2(\.0)?)|Apache License, Version 2\.0"
    r"|(0|2|3)?-?(Clause )?BSD([- ]License)?|BSD-[0-3]-Clause|0BSD|ISC|ISC License.*|PSF-2\.0|Python-2\.0"
    r"|Python Software Foundation License|Zlib|CC0-1\.0|Unlicense|BSL-1\.0|HPND|CNRI-Python|Unicode-3\.0"
    r"|LLVM-exception|FreeBSD"
)
LESSER = r"LGPL-[23]\.[01](-only|-or-later|\+)?|GNU Lesser General Public License.*|LGPL.*"
ALLOWED = re.compile(f"({PERMISSIVE}|{LESSER})", re.IGNORECASE)

# Neither, and why it may be depended on all the same. Nothing of these is changed or shipped by vidgraph.
BY_HAND = {
    "certifi": "MPL-2.0: a list of certificates, used unchanged, by way of test tools",
    "faster-coco-eval": "Apache-2.0 by its licence file, which its metadata does not name; to evaluate only",
    "hypothesis": "MPL-2.0: tests only",
    "nvidia-cuda-nvrtc": "NVIDIA's terms: for its cards, by an extra that is asked for",
    "pathspec": "MPL-2.0: mypy's, tests only",
    "pytest-rerunfailures": "MPL-2.0: tests only",
    "tensorrt": "NVIDIA's terms: for its cards, by an extra that is asked for",
    "tensorrt-rtx-cu13-bindings": "NVIDIA's terms: for its cards, by an extra that is asked for",
    "tensorrt-rtx-cu13-libs": "NVIDIA's terms: for its cards, by an extra that is asked for",
    "tqdm": "MPL-2.0 and MIT: used unchanged, by way of optional packages",
}


def licences(distribution: metadata.Distribution) -> list[str]:
    """The licences that the metadata names: the SPDX expression, the classifiers, or the short free text."""
    about = distribution.metadata
    classifiers = [c.split(" :: ")[-1] for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
    classifiers = [c for c in classifiers if c not in ("OSI Approved", "DFSG approved")]
    text = (about.get("License") or "").strip()
    expression = about.get("License-Expression") or ("" if classifiers or "\n" in text else text)
    return [part for part in re.split(r"\s+(?:AND|OR|WITH)\s+", expression) if part] or classifiers


def refused(name: str, named: list[str]) -> list[str]:
    """Why a distribution with these licences may not be depended on; empty where it may."""
    if name in BY_HAND:
        return []
    if not named:
        return [f"{name}: its metadata names no licence"]
    bad = [licence for licence in named if not ALLOWED.fullmatch(licence.strip("() "))]
    return [f"{name}: {licence}" for licence in bad]


def installed_dependencies(root: str) -> dict[str, metadata.Distribution]:
    """Everything that ``root`` and its extras need, as far as it is installed here, with all extras followed."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [root]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # another platform's, or an extra that is not installed
        first_level = name == root
        wanted = [line for line in found[name].requires or [] if first_level or "extra ==" not in line]
        waiting += [re.split(r"[\s;<>=!~\[(]", line, maxsplit=1)[0] for line in wanted]
    return found


def test_dependencies_are_permissive_or_lgpl() -> None:
    try:
        metadata.distribution("vidgraph")
    except metadata.PackageNotFoundError:
        pytest.skip("vidgraph is not installed as a distribution here")
    found = installed_dependencies("vidgraph")
    assert {"vidgraph", "numpy", "av", "onnx", "openvino"} <= set(found)
    problems = [line for name, dist in sorted(found.items()) for line in refused(name, licences(dist))]
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize(
    "licence", ["MIT", "Apache-2.0", "BSD-3-Clause", "LGPL-3.0-or-later", "MIT-CMU", "PSF-2.0", "BSD License"]
)
def test_allowed(licence: str) -> None:
    assert refused("x", [licence]) == []


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-only", "AGPL-3.0", "GNU General Public License v3 (GPLv3)", "Proprietary"]
)
def test_refused(licence: str) -> None:
    assert refused("x", [licence])
    assert refused("x", ["MIT", licence])


def test_no_licence_is_refused() -> None:
    assert refused("x", [])
