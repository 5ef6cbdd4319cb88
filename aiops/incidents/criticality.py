"""What is known of services beforehand: how much each of them matters, by patterns of their names."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import Literal

import msgspec

Criticality = Literal["low", "normal", "high"]


class ServicesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the engine is told of services.

    Attributes
    ----------
    criticality : names and values
        How much services matter: `low`, `normal` or `high`, by patterns of their names as in `detect.metrics`; the first that
        matches counts, and what matches none is normal. Moves the severity of incidents by one step.
    """

    criticality: dict[str, Criticality] = {}


class Criticalities:
    """The patterns, ready to be asked."""

    def __init__(self, config: ServicesConfig | None = None) -> None:
        said = (config or ServicesConfig()).criticality
        self._patterns = [(re.compile(translate(pattern)), level) for pattern, level in said.items()]

    def of(self, service: str) -> Criticality:
        """How much a service matters.

        >>> Criticalities(ServicesConfig({"check*": "high", "*": "low"})).of("checkout")
        'high'
        """
        return next((level for pattern, level in self._patterns if pattern.match(service)), "normal")
