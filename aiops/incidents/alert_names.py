"""What an alert says of where it is -> the service that it can only mean, or none: nothing is guessed."""

from __future__ import annotations

import re

from aiops.incidents.environment import Environment
from aiops.records import Anomaly

# Labels by which tools name a service, beside the field that is made for it.
NAMING = ("service", "service_name", "app", "app_kubernetes_io_name", "job", "deployment", "statefulset", "daemonset")
_WORD = re.compile(r"[A-Za-z0-9][\w./-]*[A-Za-z0-9]")
_UNMISTAKABLE = re.compile(r"[-_./]")  # "cart" is also a word of English, "cart-service" is a name


class Names:
    """The services of an environment by their names, with and without namespace; made anew for each window."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._short: dict[str, int] = {}  # name without namespace -> number, -1 = several have it
        for name, code in environment.index.items():
            short = name.rpartition("/")[2]
            self._short[short] = -1 if short in self._short else code

    def known(self, name: str) -> int | None:
        """Number of a service that is named with or, where only one can be meant, without its namespace."""
        if (code := self._environment.index.get(name)) is not None:
            return code
        short = self._short.get(name, -1)
        return None if short < 0 else short

    def add(self, name: str) -> None:
        """There is such a service, though it sends nothing."""
        self._short.setdefault(name.rpartition("/")[2], self._environment.service(name))

    def meant(self, anomaly: Anomaly) -> int | None:
        """The service of an alert that names none: its labels name one, or its text does, by a name that is no word."""
        labels = (anomaly.attributes.get(f"label.{label}", "") for label in NAMING)
        found = {code for name in labels if name and (code := self.known(name)) is not None}
        if not found:
            words = (word for word in _WORD.findall(anomaly.statement) if _UNMISTAKABLE.search(word))
            found = {code for word in words if (code := self._environment.index.get(word)) is not None}
        return min(found) if len(found) == 1 else None
