"""``aiops simulate``: arguments in, a folder of telemetry with its truth out; wrong arguments end with status 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from aiops.simulate.files import write
from aiops.simulate.kinds import ALL_KINDS, DISTURBANCES, KINDS
from aiops.simulate.meshes import MESHES
from aiops.simulate.scenarios import listing, simulate_scenario
from aiops.simulate.simulation import START_UNIX, Simulation
from aiops.times import rfc3339, unix_ns

HOURS, MESH, FAULTS, DISTURBED = 4.0, "shop", "auto", "none"
"""What is simulated where nothing else is asked for."""

_DECIDED = ("hours", "mesh", "faults", "disturbances", "company")
"""What a scenario decides."""


class _Scenario(argparse.Action):
    """Takes the name of a scenario; ``list`` prints them all, and the command is done."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,  # noqa: ARG002 - argparse passes it
    ) -> None:
        if values == "list":
            sys.stdout.write(listing() + "\n")
            parser.exit()
        setattr(namespace, self.dest, values)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``simulate``."""
    parser.description = (
        "Write metrics, traces, logs and changes of a simulated mesh, with truth.json and context.json."
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same bytes (default: %(default)s)")
    parser.add_argument("--hours", type=float, help=f"length in hours (default: {HOURS:g})")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write; it is made if need be")
    parser.add_argument("--rate", type=float, help="mean requests per second (default: 2; a scenario: 3)")
    parser.add_argument("--mesh", metavar="|".join(MESHES), help=f"what is simulated (default: {MESH})")
    parser.add_argument(
        "--faults",
        metavar="auto|all|none|KIND,KIND…",
        help=f"which faults: auto: {', '.join(KINDS)} in turn; all: every kind that can hit the mesh; none; or some of "
        f"{', '.join(ALL_KINDS)} (default: {FAULTS})",
    )
    parser.add_argument(
        "--disturbances",
        metavar="none|all|KIND,KIND…",
        help=f"what else happens and is no fault: none, all, or some of {', '.join(DISTURBANCES)} (default: {DISTURBED})",
    )
    parser.add_argument(
        "--company",
        type=float,
        metavar="SHARE",
        help="share of the faults beside which a second one begins (default: 0)",
    )
    parser.add_argument(
        "--scenario",
        action=_Scenario,
        metavar="NAME|list",
        help="a short day with a known number of incidents, instead of --hours, --mesh, --faults, --disturbances and --company",
    )
    parser.add_argument(
        "--start", default=rfc3339(START_UNIX * 10**9), metavar="TIME", help="RFC 3339 (default: %(default)s)"
    )
    parser.add_argument(
        "--alerts", action="store_true", help="also what an Alertmanager with ordinary rules would send"
    )
    parser.add_argument("--no-wrong-clock", action="store_true", help="let the clocks of all hosts be right")


def run(args: argparse.Namespace) -> int:
    """Write the folder and print what is in it; returns the exit status."""
    try:
        simulation = _simulation(args)
        written = write(simulation, args.out)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"aiops simulate: {error}\n")
        return 2
    amounts = f"{written.spans} spans, {written.logs} logs, {written.points} metric points, {written.changes} changes"
    amounts += f", {written.alerts} messages of alerts" if simulation.alerts else ""
    truth = simulation.truth()
    lines = [f"{args.out}: {amounts}, {len(simulation.faults)} faults"]
    for fault in truth["faults"]:
        began = rfc3339(fault["time_unix"] * 10**9)
        lines.append(f"  {began}  {fault['duration_s']:4d} s  {fault['kind']:15s} {fault['service']}")
    for decoy in truth["decoys"]:
        began = rfc3339(decoy["time_unix"] * 10**9)
        lines.append(f"  {began}  {decoy['duration_s']:4d} s  {decoy['kind']:15s} {decoy['service']}, no fault")
    if simulation.wrong_clock_ns:
        lines.append(f"  one host's clock is wrong by {simulation.wrong_clock_ns // 10**9:+d} s all the time")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _simulation(args: argparse.Namespace) -> Simulation:
    start = unix_ns(args.start) // 10**9
    if args.scenario:
        chosen = {f"--{name}" for name in _DECIDED if getattr(args, name) is not None}
        if chosen:
            raise ValueError(f"--scenario {args.scenario} decides what {', '.join(sorted(chosen))} would: leave it out")
        rate = 3.0 if args.rate is None else args.rate
        return simulate_scenario(args.scenario, args.seed, rate=rate, start_unix=start, alerts=args.alerts)
    return Simulation(
        args.seed,
        HOURS if args.hours is None else args.hours,
        _kinds("--faults", args.faults or FAULTS, ("auto", "all"), ALL_KINDS),
        rate=2.0 if args.rate is None else args.rate,
        start_unix=start,
        wrong_clock=not args.no_wrong_clock,
        mesh=args.mesh or MESH,
        disturbances=_kinds("--disturbances", args.disturbances or DISTURBED, ("all",), DISTURBANCES),
        company=args.company or 0.0,
        alerts=args.alerts,
    )


def _kinds(option: str, text: str, words: tuple[str, ...], kinds: Sequence[str]) -> Any:
    """A word that `Simulation` knows, or the kinds named; None for ``none``."""
    if text == "none":
        return None
    if text in words:
        return text
    named = [kind.strip() for kind in text.split(",") if kind.strip()]
    if not named:
        choices = ", ".join((*words, "none"))
        raise ValueError(f"{option} {text!r} names no kind: it is {choices}, or some of {', '.join(kinds)}")
    return named
