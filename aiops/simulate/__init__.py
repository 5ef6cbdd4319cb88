"""A seeded simulator of a service mesh: realistic OTLP telemetry with injected faults and their truth.

For demos, tests and benchmarks.  It models causes (load, processor time, memory, calls, retries, deploys) and lets
effects follow; nothing in it knows what a detector looks at.
"""

from aiops.simulate.faults import KINDS, Fault
from aiops.simulate.files import write
from aiops.simulate.simulation import Simulation

__all__ = ["KINDS", "Fault", "Simulation", "write"]
