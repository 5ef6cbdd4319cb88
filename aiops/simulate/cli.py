"""``aiops simulate``: arguments in, a folder of telemetry with its truth out; wrong arguments end with status 2."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from aiops.simulate.faults import KINDS
from aiops.simulate.files import write
from aiops.simulate.simulation import START_UNIX, Simulation
from aiops.times import rfc3339, unix_ns


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``simulate``."""
    parser.description = (
        "Write metrics, traces, logs and changes of a simulated mesh, with truth.json and context.json."
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same bytes (default: %(default)s)")
    parser.add_argument("--hours", type=float, default=4.0, help="length in hours (default: %(default)s)")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write; it is made if need be")
    parser.add_argument("--rate", type=float, default=2.0, help="mean requests per second (default: %(default)s)")
    parser.add_argument(
        "--faults",
        default="auto",
        metavar="auto|none|KIND,KIND…",
        help=f"which faults: all kinds in turn, none, or some of {', '.join(KINDS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--start", default=rfc3339(START_UNIX * 10**9), metavar="TIME", help="RFC 3339 (default: %(default)s)"
    )
    parser.add_argument("--no-wrong-clock", action="store_true", help="let the clocks of all hosts be right")


def run(args: argparse.Namespace) -> int:
    """Write the folder and print what is in it; returns the exit status."""
    faults: Any = {"auto": "auto", "none": None}.get(args.faults, [])
    if args.faults not in ("auto", "none"):
        faults = [kind.strip() for kind in args.faults.split(",") if kind.strip()]
    try:
        if not faults and args.faults != "none":
            raise ValueError(f"--faults {args.faults!r} names no kind: it is auto, none, or some of {', '.join(KINDS)}")
        simulation = Simulation(
            args.seed,
            args.hours,
            faults,
            rate=args.rate,
            start_unix=unix_ns(args.start) // 10**9,
            wrong_clock=not args.no_wrong_clock,
        )
        written = write(simulation, args.out)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"aiops simulate: {error}\n")
        return 2
    amounts = f"{written.spans} spans, {written.logs} logs, {written.points} metric points, {written.changes} changes"
    lines = [f"{args.out}: {amounts}, {len(simulation.faults)} faults"]
    for fault in simulation.truth()["faults"]:
        began = rfc3339(fault["time_unix"] * 10**9)
        lines.append(f"  {began}  {fault['duration_s']:4d} s  {fault['kind']:15s} {fault['service']}")
    if simulation.wrong_clock_ns:
        lines.append(f"  one host's clock is wrong by {simulation.wrong_clock_ns // 10**9:+d} s all the time")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
