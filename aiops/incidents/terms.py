"""Which terms of evidence mean what, in one place: to fail, to be felt, to be trouble of one's own."""

from __future__ import annotations

from aiops.causes.rank import DOWN, EDGE, NET
from aiops.findings import ERRORS, HEARTBEAT, LOG, LOSS, LOST, NOVEL, OWN, RESOURCE, TRAFFIC

ERRONEOUS = [LOSS, NOVEL, ERRORS]  # requests fail or take another way
DENIED = [LOSS, LOST, NOVEL, ERRORS]  # so a caller shows that it does not get what it asks for
GRAVE = [*ERRONEOUS, HEARTBEAT, DOWN]  # something fails or is gone
MORE_THAN_SLOW = [RESOURCE, *ERRONEOUS, HEARTBEAT, LOG, DOWN]
SYMPTOMS = [OWN, *DENIED, HEARTBEAT, TRAFFIC, NET, EDGE, DOWN]  # somebody could notice it
OF_ONES_OWN = [RESOURCE, OWN, HEARTBEAT, DOWN]  # no neighbour does that to a service
