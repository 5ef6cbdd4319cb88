"""Settings of the engine, in one object; what changes incidents enters its digest, which every incident carries."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field

import msgspec

from aiops.causes.rank import Weights
from aiops.detect.rules import DetectConfig
from aiops.identity import DEFAULT_KEY
from aiops.incidents.correlation import CorrelationConfig
from aiops.incidents.criticality import ServicesConfig
from aiops.incidents.lifecycle import Policy
from aiops.incidents.noise_bounds import NoiseConfig
from aiops.signals import SECOND


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """All settings have defaults.

    Attributes
    ----------
    tenant, encoding : str
        Of the sources; never taken from what a producer writes.
    identity_key : int
        Key of the identities of series; secret where producers are not trusted.
    policy : Policy
        When incidents open and close.
    weights : Weights
        How evidence adds up to a cause.
    detect : DetectConfig
        What detection is told of signals.
    services : ServicesConfig
        What is known of services beforehand.
    correlation : CorrelationConfig
        What people say belongs together.
    noise : NoiseConfig
        When more of the same is no news.
    drain : int
        Ns of event time that go on after the end of a recording, so that what is open can close.
    """

    tenant: str = "default"
    encoding: str = "auto"
    identity_key: int = DEFAULT_KEY
    policy: Policy = field(default_factory=Policy)
    weights: Weights = field(default_factory=Weights)
    detect: DetectConfig = field(default_factory=DetectConfig)
    services: ServicesConfig = field(default_factory=ServicesConfig)
    correlation: CorrelationConfig = field(default_factory=CorrelationConfig)
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    drain: int = 600 * SECOND

    def digest(self) -> str:
        """12 hex digits that tell configurations apart."""
        settings = asdict(self)
        del settings["identity_key"]  # secret, and without influence on what an incident says
        return hashlib.blake2b(msgspec.json.encode(settings), digest_size=6).hexdigest()
