"""Anomalies of an environment, window by window -> what of them an incident shows, what waits, and why.

Between findings and the life of incidents, in this order: identity, flapping, storm, pause, members, symptoms.  Evidence rows
pass by: an incident opens by them, is ranked by them, and is never hidden, only opened later or told more quietly, with a
reason in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from aiops.detect.anomalies import QUIET
from aiops.incidents.environment import Environment
from aiops.incidents.flapping import USUAL, Flapping
from aiops.incidents.lifecycle import Case
from aiops.incidents.members import Ledger
from aiops.incidents.noise_bounds import NoiseConfig
from aiops.incidents.noise_figures import REASONS, Figures
from aiops.incidents.noise_names import identity_of, urgent
from aiops.incidents.pause import LONGEST, Durations
from aiops.incidents.storm import Storm
from aiops.incidents.symptoms import NO_SYMPTOM, grave, unfelt
from aiops.noise_report import HeldBack, NoiseReport, Storyline
from aiops.records import Anomaly, Notice, rfc3339, unix_ns
from aiops.signals import SECOND

FORGET = 60 * SECOND  # what was held back and is not any more for so long has healed by itself
REMARKS = 8  # of a case


class Hold(NamedTuple):
    """Why no incident opens on the evidence of a service; times in Unix ns."""

    since: int
    until: int
    last: int
    by: str
    reason: str


class Noise:
    """Noise reduction of one environment."""

    def __init__(self, tenant: str, environment: str, bounds: NoiseConfig = USUAL) -> None:
        self.place = tenant, environment
        self.ledger = Ledger()
        self.flapping = Flapping(bounds)
        self.durations = Durations()
        self.storm = Storm(bounds)
        self.figures = Figures()
        self._held: dict[str, Hold] = {}  # service -> why its evidence opens no incident yet

    # ---- a window -----------------------------------------------------------------------------------------------------------
    def take(self, now: int, anomalies: list[Anomaly], items: int, cases: Iterable[Case]) -> list[Notice]:
        """Take in the anomalies of the window that ends at `now`, which held so many items of telemetry.

        Parameters
        ----------
        cases : iterable of Case
            Open and recent ones: an anomaly that was part of something serious did not heal by itself.
        """
        self.figures.window(now, items)
        self.flapping.advance(now)
        new = {a.anomaly_id for a in anomalies if self._is_new(a)}
        begun = self.storm.since
        said = self.storm.advance(now, len(new))
        if self.storm.since >= 0 and new:  # of each storyline the strongest stay
            best: dict[str, float] = {}
            for a in anomalies:
                best[a.anomaly_id] = max(a.score, best.get(a.anomaly_id, 0.0))
            anomalies = sorted(anomalies, key=lambda a: (-best[a.anomaly_id], a.anomaly_id, a.version))
        serious = {c.incident_id for c in cases if c.severity in ("critical", "high")}
        for anomaly in anomalies:
            self.figures.record(anomaly)
            known = self.ledger.get(anomaly.anomaly_id)
            if known is None:
                if anomaly.anomaly_id not in new:
                    continue  # it was counted in a storyline when it opened
                new.discard(anomaly.anomaly_id)
                if not self._opened(now, anomaly):
                    continue
            was, is_ = known is not None and known.state != "closed", anomaly.state != "closed"
            if was != is_:
                self._turned(now, anomaly, is_, serious)
            self.ledger.put(anomaly)
        return [] if said is None else [self._notice(now, begun, said)]

    def _is_new(self, anomaly: Anomaly) -> bool:
        """Is it an anomaly that opens, and no later record of one that is counted in a storyline?"""
        if anomaly.anomaly_id in self.ledger:
            return False
        if anomaly.state == "open" or anomaly.version == 1:
            return True
        if urgent(anomaly) and anomaly.state != "closed":
            return True  # it was not when it was counted
        story = self.storm.stories.get(self.storm.of(anomaly))
        return anomaly.state == "update" and (story is None or not story.told)

    def _opened(self, now: int, anomaly: Anomaly) -> bool:
        """Count one that was not known; does it stay an anomaly of its own?"""
        self.figures.opened(anomaly, urgent(anomaly))
        room = self.ledger.has_room(anomaly)
        if room and self.storm.keeps(anomaly):
            self.storm.keep(now, anomaly)
            return True
        self.storm.tell(now, anomaly)
        self.figures.totals["urgent_storyline"] += urgent(anomaly)
        self.figures.suppressed("storm" if room else "full", anomaly.service, anomaly.detector)
        return False

    def _turned(self, now: int, anomaly: Anomaly, opens: bool, serious: set[str]) -> None:
        identity = identity_of(anomaly)
        self.flapping.turn(now, identity, opens)
        if not opens:
            lasted = unix_ns(anomaly.window.end) - unix_ns(anomaly.onset)
            if anomaly.kind != "external":
                lasted -= QUIET  # detectors close that long after the last deviation
            self.durations.add(identity, None if self.ledger.owner(anomaly.anomaly_id) in serious else lasted)

    def _notice(self, now: int, begun: int, said: str) -> Notice:
        tenant, environment = self.place
        ends = self.storm.since < 0
        return Notice(
            kind="overload", tenant=tenant, environment=environment, since=rfc3339(begun if ends else now),
            until=rfc3339(now) if ends else None, text=f"environment {environment!r}: {said}",
        )  # fmt: skip

    # ---- cases --------------------------------------------------------------------------------------------------------------
    def holds_back(self, now: int, case: Case, environment: Environment) -> bool:
        """May a case that would open wait, because what it stands on usually heals by itself?

        Not where more than one service takes part, something fails, or an alert says that it is urgent.
        """
        service = environment.services[case.seed]
        found, held = self._why(now, case, environment), self._held.get(service)
        if found is None:
            if held is not None:
                waited = (now - held.since) // SECOND
                case.remarks["waited"] = ["time", f"opened {waited} s later than it could have been: {held.reason}"]
                del self._held[service]
            return False
        if held is None:
            self.figures.suppressed(found.by, service)
        else:
            found = found._replace(since=held.since)
        self._held[service] = found
        return True

    def _why(self, now: int, case: Case, environment: Environment) -> Hold | None:
        if len(case.services) > 1 or grave(case):
            return None
        names = [environment.services[s] for s in sorted(case.services)]
        anomalies = [a for a in self.ledger.free(names) if a.state != "closed"]
        if any(urgent(a) for a in anomalies):
            return None
        longest: Hold | None = None
        for anomaly in anomalies:
            identity = identity_of(anomaly)
            begun, wait = min(case.onset, unix_ns(anomaly.onset)), self.durations.wait(identity)
            if identity in self.flapping.now:
                hold = Hold(now, begun + LONGEST, now, "flapping-pause", self.flapping.words(identity))
            elif wait is not None:
                said = f"{identity.words} was over within {wait.ns // SECOND} s in {wait.healed} of {wait.seen} times"
                hold = Hold(now, begun + wait.ns, now, "pause", said)
            else:
                return None
            if hold.until <= now:
                return None
            if longest is None or hold.until > longest.until:
                longest = hold
        return longest

    def members(self, now: int, case: Case, environment: Environment) -> None:
        """Make members of what belongs to a case by now, and count the rest.  Older cases come first."""
        opens = case.opened == now
        if opens:
            self.ledger.again(case.incident_id)
        names = sorted(environment.services[s] for s in case.services)
        for reason, anomaly in self.ledger.take(case, names, self.flapping.now):
            case.suppressed[reason] = case.suppressed.get(reason, 0) + 1
            self.figures.suppressed(reason, anomaly.service, anomaly.detector)
        if opens and case.causes:
            detectors = sorted({a.detector for a in case.members.values()})
            self.figures.incident(environment.services[case.causes[0].service], detectors)
        if case.closed >= 0 or not self.storm.stories:
            return
        for name in names:
            for key, story, more in self.storm.claim(case.incident_id, name):
                case.suppressed["storm"] = case.suppressed.get("storm", 0) + more
                remark = "/".join(key)
                if remark in case.remarks or len(case.remarks) < REMARKS:
                    case.remarks[remark] = ["text", self.storm.words(key, story)]

    def owner(self, anomaly_id: str) -> str:
        """Id of the incident that an anomaly belongs to; empty where there is none."""
        return self.ledger.owner(anomaly_id)

    def move(self, keys: Iterable[str], incident: str) -> None:
        """These anomalies, of those that are known, belong to this incident from now on."""
        self.ledger.move(keys, incident)

    def join(self, anomaly_id: str, incident: str) -> None:
        """One that belongs to no incident, if it is known, joins this one."""
        self.ledger.join(anomaly_id, incident)

    def give(self, source: str, target: str) -> None:
        """All that belongs to one incident belongs to another one from now on."""
        self.ledger.give(source, target)
        for story in self.storm.stories.values():
            if story.owner == source:
                story.owner = target

    def judge(self, case: Case, environment: Environment) -> None:
        """Does a case flap, and what keeps it from being told aloud?  Its severity is known."""
        before, case.muted = {by for by, _ in case.muted}, []
        if case.severity == "info" and unfelt(case):
            case.muted.append(["no-symptom", NO_SYMPTOM])
        flapping = []
        if self.flapping.now:
            shown = self.ledger.shown(case)
            flapping = sorted(identity for identity in self.flapping.now if identity in shown)
            if flapping and len(flapping) == len(shown) and not grave(case):
                case.muted.append(["flapping", self.flapping.words(flapping[0])])
        case.flapping = bool(flapping)
        service = environment.services[case.seed]
        for by, _ in case.muted:
            if by not in before:
                self.figures.suppressed("flapping-incident" if by == "flapping" else by, service)

    def end(self, now: int, closed: list[Case]) -> None:
        """The window is done; these cases have closed in it."""
        for case in closed:
            self.ledger.over(case.incident_id)
            self.storm.release(case.incident_id)
        self.figures.totals["alone"] += self.ledger.forget(now)
        for service, held in list(self._held.items()):
            if now - held.last > FORGET:
                del self._held[service]
                self.figures.totals["healed"] += 1

    # ---- figures ------------------------------------------------------------------------------------------------------------
    def report(self, now: int) -> NoiseReport | None:
        """The figures of the span that is over at `now`, if one is and there is something to say."""
        if not self.figures.due(now):
            return None
        held = [
            HeldBack(service=s, by=h.by, reason=h.reason, since=rfc3339(h.since), until=rfc3339(h.until))
            for s, h in sorted(self._held.items(), key=lambda item: (item[1].since, item[0]))
        ]
        held += [
            HeldBack(
                service=identity.service, by="flapping", reason=self.flapping.words(identity), since=rfc3339(since)
            )
            for identity, since in sorted(self.flapping.now.items(), key=lambda item: (item[1], item[0]))
        ]
        grown = sorted((item for item in self.storm.stories.items() if item[1].told), key=lambda i: (-i[1].told, i[0]))
        stories = [
            Storyline(
                service=key[0], kind=key[1], signal=key[2], anomalies=story.told, urgent=story.urgent,
                since=rfc3339(story.first), last=rfc3339(story.last), incident_id=story.owner or None,
                statement=story.statement,
            )
            for key, story in grown
        ]  # fmt: skip
        return self.figures.report(now, self.place, self.storm.since >= 0, held, stories)

    def gauges(self) -> Counter[str]:
        """Fill of the tables, and totals since the process began; to be added up over environments."""
        ledger, totals = self.ledger, self.figures.totals
        out: Counter[str] = Counter({
            "identities": len(self.flapping), "flapping": len(self.flapping.now),
            "evicted_identities_total": self.flapping.evicted, "learned_signals": len(self.durations),
            "evicted_signals_total": self.durations.evicted, "storms": int(self.storm.since >= 0),
            "storms_total": self.storm.storms, "storylines": len(self.storm.stories), "held_back": len(self._held),
            "urgent_waiting": ledger.waiting, **{f"urgent_{n}_total": ledger.urgent[n] for n in ("joined", "expired", "again")},
        })  # fmt: skip
        for name in ("records", "anomalies", "urgent_anomalies", "urgent_storyline", "incidents", "healed", "alone"):
            out[f"{name}_total"] = totals[name]
        out["urgent_anomalies_total"] += ledger.urgent["later"]
        for reason in REASONS:
            out[f"suppressed_{reason.replace('-', '_')}_total"] = totals[f"suppressed_{reason}"]
        return out

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "ledger": self.ledger.state(), "flapping": self.flapping.state(), "durations": self.durations.state(),
            "storm": self.storm.state(), "figures": self.figures.state(),
            "held": [[service, *hold] for service, hold in self._held.items()],
        }  # fmt: skip

    def restore(self, state: dict[str, Any], open_incidents: Iterable[str]) -> None:
        """Take over the state of a snapshot; which incidents are open is known from the cases."""
        self.ledger = Ledger.of(state["ledger"], open_incidents)
        self.flapping.restore(state["flapping"])
        self.durations.restore(state["durations"])
        self.storm.restore(state["storm"])
        self.figures.restore(state["figures"])
        self._held = {service: Hold(*hold) for service, *hold in state["held"]}
