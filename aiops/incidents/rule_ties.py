"""New anomalies and alerts of a window, and the rules of the configuration -> ties between services, and who joins by them.

Each rule looks at a record once, when it is new.  What matches with the same group is tied while it keeps coming; the services
join one incident though no call relates them, and so do the records themselves where their service is otherwise calm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiops.incidents.alerts import Owners
from aiops.incidents.cel import Condition, ConditionError, prepared
from aiops.incidents.correlation import FIELDS, CorrelationConfig, CorrelationRule, record_of, titled, value_of
from aiops.incidents.environment import Environment
from aiops.incidents.lifecycle import Case
from aiops.incidents.ties import Tie
from aiops.records import Anomaly, Notice, rfc3339

MOST_LOOKED_AT = 2_000  # conditions of a window, .45 ms each; a storm has more new records, which are counted
MOST_GROUPS = 500  # of an environment
MOST_OF_GROUP = 200  # records of a group that may join by it
COUNTED = ("matched", "failed", "skipped", "evicted")

Known = Callable[[str], int | None]


@dataclass(frozen=True, slots=True)
class Compiled:
    """The rules, read once for all environments."""

    rules: tuple[tuple[CorrelationRule, Condition], ...] = ()

    @classmethod
    def of(cls, config: CorrelationConfig) -> Compiled:
        """The rules of a configuration.

        Raises
        ------
        ConditionError
            It was not checked before (``correlation.problems``).
        """
        return cls(tuple((rule, Condition(rule.when, FIELDS)) for rule in config.rules))


@dataclass(slots=True)
class _Group:
    last: int  # Unix ns
    anomalies: dict[str, str] = field(default_factory=dict)  # id -> service (empty: not known), of those that matched


class RuleTies:
    """What rules have found in one environment.

    Attributes
    ----------
    counted : Counter
        Since the process began: records ``matched``, records ``failed``, new records ``skipped`` because there were too many, and
        groups that were ``evicted`` because there were too many.
    """

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self._groups: dict[tuple[str, ...], _Group] = {}  # (name of the rule, values)
        self._told: set[str] = set()  # rules whose failure was told

    def __len__(self) -> int:
        return len(self._groups)

    def take(
        self, now: int, new: Iterable[Anomaly], rules: Compiled, environment: Environment, known: Known
    ) -> list[Notice]:
        """The records that are new at event time `now` (Unix ns), in canonical order; returns what is to be said of rules.

        Parameters
        ----------
        known : callable, name -> number of a service
            Of what an alert names without its namespace, too; None where nothing is known by it.
        """
        said: list[Notice] = []
        if not rules.rules:
            return said
        windows = {rule.name: rule.window for rule, _ in rules.rules}
        for key, group in list(self._groups.items()):
            if now - group.last > windows.get(key[0], 0):
                del self._groups[key]
        for number, anomaly in enumerate(new):
            if number * len(rules.rules) >= MOST_LOOKED_AT:
                self.counted["skipped"] += 1
                continue
            record = record_of(anomaly)
            fields = prepared(record)
            for rule, condition in rules.rules:
                try:
                    matches = condition.matches(fields)
                except ConditionError as error:
                    self.counted["failed"] += 1
                    said += self._failed(now, rule, str(error), environment)
                    continue
                values = tuple(value_of(record, name) for name in rule.group_by) if matches else ()
                if matches and all(values):
                    self.counted["matched"] += 1
                    self._matched(now, rule, values, (anomaly.anomaly_id, known(anomaly.service)), environment)
        return said

    def _matched(
        self,
        now: int,
        rule: CorrelationRule,
        values: tuple[str, ...],
        record: tuple[str, int | None],
        environment: Environment,
    ) -> None:
        anomaly, service = record
        key = (rule.name, *values)
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= MOST_GROUPS:
                del self._groups[min(self._groups, key=lambda k: (self._groups[k].last, k))]
                self.counted["evicted"] += 1
            group = self._groups[key] = _Group(now)
        group.last = now
        if len(group.anomalies) < MOST_OF_GROUP:
            group.anomalies[anomaly] = "" if service is None else environment.services[service]
        services = {environment.index[name] for name in group.anomalies.values() if name in environment.index}
        said = ", ".join(f"{name} {value}" for name, value in zip(rule.group_by, values, strict=True))
        statement = f"rule {rule.name!r}: the same {said}"
        tie = Tie("rule", statement, services, now + rule.window, title=titled(rule, values))
        environment.ties.tie(("rule", *key), tie)

    def _failed(self, now: int, rule: CorrelationRule, error: str, environment: Environment) -> list[Notice]:
        """Told once: the rule goes on with other records."""
        if rule.name in self._told:
            return []
        self._told.add(rule.name)
        text = f"environment {environment.name!r}: rule {rule.name!r} cannot be applied to a record: {error}"
        return [
            Notice(
                kind="command", tenant=environment.tenant, environment=environment.name, source=f"rule {rule.name}",
                since=rfc3339(now), until=rfc3339(now), text=text,
            )
        ]  # fmt: skip

    def claim(self, cases: list[Case], environment: Environment, owners: Owners) -> None:
        """Records of a group join the open incident that holds a service of it, wherever they are.

        Of several incidents the earliest, as when they are merged.
        """
        for key, group in sorted(self._groups.items()):
            tie = environment.ties.get(("rule", *key))
            if tie is None:
                continue
            holding = [c for c in cases if c.incident_id and tie.services & c.present]
            free = [name for name in group.anomalies if not owners.owner(name)]
            if holding and free:
                case = min(holding, key=lambda c: (c.opened, c.incident_id))
                for name in free:
                    owners.join(name, case.incident_id)
                case.remarks.setdefault("/".join(("tie", "rule", *key)), [tie.type, tie.statement])
                case.called = case.called or tie.title

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        groups = [[list(key), group.last, group.anomalies] for key, group in self._groups.items()]
        return {"groups": groups, "told": sorted(self._told)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._groups = {tuple(key): _Group(last, anomalies) for key, last, anomalies in state["groups"]}
        self._told = set(state["told"])
