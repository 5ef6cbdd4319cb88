"""The engine on a real broker: rates, latency, scaling, takeover; peers that do one of its jobs; a soak.

    python -m benchmarks.kafka_end_to_end [--quick] [--only WORD ...] [--bootstrap HOST:PORT] [--json FILE] [--soak MINUTES]

A core second is a CPU second, user and system, of the processes of a role, all threads included, their start (the same
processes with nothing to read) taken off.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiops.errors import UserError
from aiops.wire import keep_memory
from benchmarks import kafka_live, kafka_peers, kafka_rates, kafka_takeover, results
from benchmarks.kafka_rates import Line
from streams.local_kafka import LocalKafka


@contextmanager
def broker(bootstrap: str | None) -> Iterator[tuple[dict[str, str], int | None]]:
    """Properties of its clients, and its process id where it is ours."""
    if bootstrap is not None:
        yield {"bootstrap.servers": bootstrap}, None
        return
    with LocalKafka(heap="1g") as local:
        yield dict(local.client()), local.pid(1)


def main() -> int:
    """Run what was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works: not for judging")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts")
    parser.add_argument("--bootstrap", metavar="HOST:PORT", help="a broker; otherwise one is started")
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument(
        "--best-of", type=_count, metavar="N", help="runs of each measurement of ingest (default 3, 1 with --quick)"
    )
    parser.add_argument(
        "--quixstreams", metavar="PYTHON", default=sys.executable,
        help="an interpreter that has quixstreams and opentelemetry-proto, if this one has not",
    )  # fmt: skip
    parser.add_argument(
        "--rate", type=_positive, help="items a second of latency and soak (default: half of saturation)"
    )
    parser.add_argument("--soak", type=_positive, metavar="MINUTES", help="then half load for so long")
    arguments = parser.parse_args()
    live = arguments.soak is not None or "latency" in arguments.only
    if live and arguments.rate is None and "saturation" not in arguments.only:
        parser.error("half of saturation comes from the part saturation: run it too, or give --rate")
    if arguments.rate is not None and not live:
        parser.error("--rate is that of the part latency and of --soak: neither is asked for")
    if arguments.best_of is not None and "ingest" not in arguments.only:
        parser.error("--best-of is of the part ingest, which is not asked for")
    arguments.best_of = arguments.best_of or (1 if arguments.quick else 3)
    keep_memory()
    lines: list[Line] = []
    results.introduce(
        f"Parts: {', '.join(name for name in PARTS if name in arguments.only)}. A core second is a CPU second of the processes"
        f" of a role.{' Quick: to see that it works, not for judging.' if arguments.quick else ''}"
    )
    kafka_rates.heading()
    try:
        with broker(arguments.bootstrap) as (kafka, pid), tempfile.TemporaryDirectory(prefix="aiops-bench-") as folder:
            for part in (name for name in PARTS if name in arguments.only):  # latency asks what saturation has found
                lines += PARTS[part](kafka, Path(folder), arguments, pid, lines)
            if arguments.soak is not None:
                lines += kafka_live.soak(kafka, Path(folder), arguments.quick, lines, arguments.rate, arguments.soak)
    except UserError as error:
        sys.stderr.write(f"kafka_end_to_end: {error}\n")
        return 1
    results.write(arguments.json, by_id(lines), quick=arguments.quick)
    return 0


def by_id(lines: list[Line]) -> dict[str, Any]:
    """The results under their ids, which never change."""
    return {
        line.id: {"value": line.value, "unit": line.unit, "bar": line.bar or None, "met": line.good, **line.more}
        for line in lines
    }


def _positive(text: str) -> float:
    if not 0 < (value := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


Part = Callable[[dict[str, str], Path, argparse.Namespace, int | None, list[Line]], list[Line]]
PARTS: dict[str, Part] = {
    "ingest": lambda kafka, folder, a, *_: kafka_rates.ingest(kafka, folder, a.quick, a.best_of),
    "chain": lambda kafka, folder, a, pid, _: kafka_rates.chain(kafka, folder, a.quick, pid),
    "scaling": lambda kafka, folder, a, *_: kafka_rates.scaling(kafka, folder, a.quick),
    "saturation": lambda kafka, folder, a, *_: kafka_live.saturation(kafka, folder, a.quick),
    "latency": lambda kafka, folder, a, _, lines: kafka_live.latency(kafka, folder, a.quick, lines, a.rate),
    "peers": lambda kafka, folder, a, *_: kafka_peers.peers(kafka, folder, a.quick, a.quixstreams),
    "takeover": lambda kafka, folder, a, *_: kafka_takeover.takeover(kafka, folder, a.quick),
}


if __name__ == "__main__":
    sys.exit(main())
