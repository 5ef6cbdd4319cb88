"""A seeded simulator of a service mesh: realistic OTLP telemetry with injected faults and their truth.

For demos, tests and benchmarks.  It models causes (load, processor time, memory, calls, retries, deploys) and lets
effects follow; nothing in it knows what a detector looks at.
"""

from aiops.simulate.faults import Fault
from aiops.simulate.files import write
from aiops.simulate.kinds import ALL_KINDS, DISTURBANCES, KINDS
from aiops.simulate.scenarios import SCENARIOS, simulate_scenario
from aiops.simulate.simulation import Simulation

__all__ = [
    "ALL_KINDS",
    "DISTURBANCES",
    "KINDS",
    "SCENARIOS",
    "Fault",
    "Simulation",
    "simulate_scenario",
    "write",
]
