"""Days, simulated or recorded, through the whole engine -> every version of every incident, with the truth beside it.

A seed decides the shape of its day: ``MESHES[seed % 3]``, disturbances where the seed is even, so that each of the three meshes
is seen with them and without.  Faults are drawn from all kinds that can hit the mesh, one about every 20 minutes, and a fifth
of them get a second fault beside them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from aiops.engine import Engine
from aiops.recording import SIGNALS, Recording, Sourced
from aiops.records import Incident, encode
from aiops.replay import drive
from aiops.scoring import Context, Problem, Truth, read_day, read_incidents
from aiops.simulate import Simulation
from benchmarks.alarm_days import messages_of

MESHES = ("shop", "chain", "wide")
QUIET, SPACING = 1500.0, 1200.0  # seconds before the first fault, and from fault to fault
COMPANY = 0.2  # share of faults beside which a second one begins
RECORDED = ("2022-08-22", "2023-01-29")  # below AIOPS_DATA/nezha
SOURCES = {f"{signal}/0": signal for signal in SIGNALS}


@dataclass(frozen=True, slots=True)
class Played:
    """What the engine made of one day.

    Attributes
    ----------
    name : str
        The seed, or the day that was recorded.
    mesh : str
        Of a simulated day; empty for a recorded one.
    disturbed : bool
        Did things happen beside the faults that must not be blamed?
    incidents : list of Incident
        All versions.
    cpu : float
        Seconds that it took, simulation included.
    """

    name: str
    mesh: str
    disturbed: bool
    truth: Truth
    context: Context
    incidents: list[Incident]
    cpu: float = 0.0

    @property
    def simulated(self) -> bool:
        """Is its truth that of the simulator?"""
        return bool(self.mesh)


def simulation_of(seed: int, hours: float, rate: float) -> Simulation:
    """The day of a seed.

    Parameters
    ----------
    hours : float
    rate : float
        Requests a second.
    """
    return Simulation(
        seed, hours, "all", rate=rate, mesh=mesh_of(seed), warmup_s=QUIET, spacing_s=SPACING, company=COMPANY,
        disturbances="all" if disturbed(seed) else None,
    )  # fmt: skip


def mesh_of(seed: int) -> str:
    """Which mesh the day of a seed has."""
    return MESHES[seed % len(MESHES)]


def disturbed(seed: int) -> bool:
    """Do things happen beside the faults on the day of a seed?"""
    return seed % 2 == 0


def simulated(seed: int, hours: float, rate: float) -> Played:
    """The day of a seed through the engine."""
    began = time.process_time()
    simulation = simulation_of(seed, hours, rate)
    incidents = driven(SOURCES, messages_of(simulation))
    truth = msgspec.convert(simulation.truth(), Truth)
    context = msgspec.convert(simulation.context(), Context)
    cpu = time.process_time() - began
    return Played(str(seed), mesh_of(seed), disturbed(seed), truth, context, incidents, cpu)


def recorded(folder: Path) -> Played:
    """A recorded day through the engine."""
    began = time.process_time()
    recording = Recording(folder)
    incidents = driven(recording.sources, recording.messages())
    return Played(folder.name, "", False, *read_day(folder), incidents, time.process_time() - began)


def driven(sources: dict[str, str], messages: Iterable[Sourced]) -> list[Incident]:
    """Every version of every incident that an engine makes of these messages."""
    return [incident for at in drive(Engine(sources), messages) for incident in at.step.incidents]


def all_simulated(seeds: Iterable[int], hours: float, rate: float, processes: int) -> Iterator[Played]:
    """The days of seeds, in their order; by so many processes at once."""
    play = partial(simulated, hours=hours, rate=rate)
    if processes == 1:
        yield from map(play, seeds)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(play, seeds)


def keep(folder: Path, day: Played) -> None:
    """Write a day's incidents and truth below a folder, as ``aiops score`` reads them."""
    place = folder / day.name
    place.mkdir(parents=True, exist_ok=True)
    (place / "truth.json").write_bytes(msgspec.json.encode(day.truth))
    (place / "context.json").write_bytes(msgspec.json.encode(day.context))
    (place / "incidents.jsonl").write_bytes(b"".join(encode(incident) + b"\n" for incident in day.incidents))


def kept(folder: Path, name: str) -> Played:
    """A day that was kept; simulated ones have their seed for a name."""
    seed = int(name) if name.isdigit() else None
    return Played(
        name, "" if seed is None else mesh_of(seed), seed is not None and disturbed(seed),
        *read_day(folder / name), list(read_incidents(folder / name / "incidents.jsonl")),
    )  # fmt: skip


def for_choosing(day: Played, problem: Problem | None, at: float) -> bool:
    """Is an incident of a recorded day in the half on which constants may be chosen?

    Services that had faults are taken in order of name, every other one for choosing, so that no service is in both halves.  An
    incident that comes of nothing goes with the fault nearest to its opening, at `at` (Unix seconds).
    """
    services = sorted({fault.service for fault in day.truth.faults})
    nearest = min(day.truth.faults, key=lambda fault: (abs(fault.time_unix - at), fault.service))
    service = problem.faults[0].service if problem is not None else nearest.service
    return services.index(service) % 2 == 0
