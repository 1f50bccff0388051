"""``python -m vidgraph.benchmarks.gpu [-o FILE] [--quick] [--part NAME]``: what only a card can show."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ...engines.open import choose_device
from ...kernels.cuda.driver import driver
from ...kernels.device import DEVICES, Device
from ...pipeline.errors import UsageError, VidgraphError
from ..harness import save
from .clock import EventClock
from .plan import BAD, PARTS, Outcomes, run_all, run_here, tell
from .scale import FULL, QUICK, Bench

MODELS = ("yolact-edge-tiny", "retinaface-tiny")
"""Those that come with the package: a video model with masks, and one of pictures."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the parts; 0: all is as it must be, 1: something is wrong, 2: there is no card."""
    options = _parser().parse_args(words)
    options.part, options.model = options.part or list(PARTS), options.model or list(MODELS)
    try:
        device = card_of(options.device)
    except (VidgraphError, RuntimeError) as error:  # RuntimeError: the driver's
        print(f"vidgraph.benchmarks.gpu: {error}", file=sys.stderr)
        return 2
    outcomes = _run_here(options, device) if options.here else _run_apart(options, device)
    return int(any(outcome["state"] in BAD for outcome in outcomes.values()))


def _run_here(options: argparse.Namespace, device: Device) -> Outcomes:
    """The parts in this process; ``--outcome`` is where the one that runs it wants to find the first."""
    scale, models = QUICK if options.quick else FULL, tuple(options.model)
    bench = Bench(device, EventClock(device), scale, models, options.engine, options.precision, options.parity_only)
    outcomes = {}
    for name in options.part:
        outcomes[name] = run_here(name, bench, options.report)
        tell(name, outcomes[name])
        _keep(options, device, outcomes)
    if options.outcome is not None:
        options.outcome.write_text(json.dumps(outcomes[options.part[0]]))
    return outcomes


def _run_apart(options: argparse.Namespace, device: Device) -> Outcomes:
    """Each part in a process of its own."""
    passed = ["--device", str(device), "--engine", options.engine, "--precision", options.precision]
    passed += [word for name in options.model for word in ("--model", name)]
    passed += ["--quick"] * options.quick + ["--parity-only"] * options.parity_only
    return run_all(options.part, passed, partial(_keep, options, device))


def _keep(options: argparse.Namespace, device: Device, outcomes: Outcomes) -> None:
    if options.output is not None:
        scale = QUICK if options.quick else FULL
        save(options.output, "gpu", {"scale": scale.name, "device": str(device), "parts": outcomes})


def card_of(text: str) -> Device:
    """The device that a user named.

    Raises:
        UsageError: it is no card, or not here.
        RuntimeError: there is no driver for cards.
    """
    device = Device.of(choose_device(text))
    if device.kind != "cuda":
        raise UsageError(f"device must be cuda or cuda:N, got {text!r}")
    driver()
    count = DEVICES[device.kind].count()
    if device.index >= count:
        raise UsageError(f"there is no {device} on this machine, which has {count}")
    return device


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vidgraph.benchmarks.gpu", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this one; may be given again")
    parser.add_argument("--quick", action="store_true", help="small inputs: does everything work? Times say nothing")
    parser.add_argument("--device", default="cuda", metavar="cuda:N")
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="of runs, again and again; engines run the first"
    )
    parser.add_argument("--engine", default="auto", metavar="NAME", help="of whole runs")
    parser.add_argument("--precision", default="auto", metavar="NAME", help="of whole runs")
    parser.add_argument("--parity-only", action="store_true", help="compare the kernels, and time nothing")
    parser.add_argument("--here", action="store_true", help="in this process, without a limit of time")
    parser.add_argument("--outcome", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
