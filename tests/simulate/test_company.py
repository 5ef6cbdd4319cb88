"""Plans in which two faults begin at once: who gets company, what is kept apart, and how the truth counts incidents."""

from __future__ import annotations

import pytest

from aiops.simulate import Fault, Simulation
from aiops.simulate.company import WITHIN_S
from aiops.simulate.truth import touched


@pytest.mark.parametrize("mesh", ["shop", "chain", "wide"])
def test_a_second_fault_begins_beside_the_first_where_that_one_does_nothing(mesh):
    alone = Simulation(3, 8.0, "all", mesh=mesh)
    both = Simulation(3, 8.0, "all", mesh=mesh, company=1.0)
    planned = set(alone.faults)
    assert planned <= set(both.faults)
    seconds = [fault for fault in both.faults if fault not in planned]
    assert len(seconds) > 0.6 * len(planned), "a fault that is everywhere has none"
    for second in seconds:
        (first,) = [fault for fault in planned if 0.0 <= second.start - fault.start + 5.0 < WITHIN_S + 5.0]
        assert second.end <= first.end
        hosts = both._plan.hosts
        assert not touched(both.mesh, first, hosts) & touched(both.mesh, second, hosts)


def test_some_pairs_are_one_incident_and_some_are_two():
    truth = Simulation(3, 24.0, "all", mesh="wide", company=1.0).truth()
    sizes: dict[str, int] = {}
    for row in truth["faults"]:
        sizes[row["incident_group"]] = sizes.get(row["incident_group"], 0) + 1
    assert truth["expected_incidents"] == len(sizes)
    assert set(sizes.values()) == {1, 2}
    assert len(sizes) < len(truth["faults"])


def test_a_share_of_the_faults_gets_company():
    alone, some = (Simulation(5, 48.0, company=share) for share in (0.0, 0.3))
    assert 0.15 < len(some.faults) / len(alone.faults) - 1.0 < 0.45
    assert {fault.kind for fault in some.faults} == {fault.kind for fault in alone.faults}
    assert not some.mesh.rich, "the first ten kinds need no other mesh"


def test_what_cannot_be_planned_is_refused_in_words():
    with pytest.raises(ValueError, match=r"company is 2\.0: it is a share"):
        Simulation(1, 2.0, company=2.0)
    with pytest.raises(ValueError, match="company is for a drawn plan"):
        Simulation(1, 2.0, [Fault("cpu", 600.0, 300.0, "search")], company=0.5)
