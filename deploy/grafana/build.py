"""Dashboards of Grafana, as code: ``python deploy/grafana/build.py [--check]`` writes the JSON beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

HERE = Path(__file__).parent
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDE, NARROW, HIGH, LOW = 12, 6, 8, 4


class Panel(NamedTuple):
    """What a panel shows: (expression, legend) each, in a unit of Grafana; one number where `single`."""

    title: str
    about: str
    shown: tuple[tuple[str, str], ...]
    unit: str = "short"
    single: bool = False


INCIDENTS: dict[str, tuple[Panel, ...]] = {
    "Now": (
        Panel("Open incidents", "Open in all environments.", (("aiops:open_incidents:sum", ""),), single=True),
        Panel("Incidents, last hour", "Opened, or another episode.", (("aiops:incidents:increase1h", ""),), single=True),
        Panel("Anomalies, last hour", "Opened.", (("aiops:anomalies:increase1h", ""),), single=True),
        Panel("Storms", "Environments in a storm: most anomalies are counted, not shown.",
              (("sum(aiops_stage_respond_noise_storms)", ""),), single=True),
    ),
    "How much becomes how little": (
        Panel("Telemetry", "Points, log records and spans a second.", (("aiops:items:rate5m", "items"),), "ops"),
        Panel("Anomalies and incidents", "An hour.",
              (("aiops:anomalies:increase1h", "anomalies"), ("aiops:incidents:increase1h", "incidents"))),
        Panel("Suppressed, by reason", "A minute; docs/noise.md says what each reason is.", (
            ("60 * sum(rate(aiops_stage_respond_noise_suppressed_repeat_total[5m]))", "repeat"),
            ("60 * sum(rate(aiops_stage_respond_noise_suppressed_flapping_total[5m]))", "flapping"),
            ("60 * sum(rate(aiops_stage_respond_noise_suppressed_storm_total[5m]))", "storm"),
            ("60 * sum(rate(aiops_stage_respond_noise_suppressed_pause_total[5m]))", "pause"),
        )),
        Panel("Held back, and flapping", "Incidents that wait because their signal usually heals; identities that flap.", (
            ("sum(aiops_stage_respond_noise_held_back)", "held back"),
            ("sum(aiops_stage_respond_noise_flapping)", "flapping"),
        )),
    ),
    "People and other tools": (
        Panel("Commands", "An hour; a refusal is in the log of the incident.", (
            ("sum(increase(aiops_stage_respond_commands_total[1h]))", "obeyed"),
            ("sum(increase(aiops_stage_respond_refused_commands_total[1h]))", "refused"),
        )),
        Panel("Critical and high alerts", "Where they are: in incidents, or waiting for one.", (
            ("sum(increase(aiops_stage_respond_noise_urgent_joined_total[1h]))", "joined in an hour"),
            ("sum(aiops_stage_respond_noise_urgent_waiting)", "waiting"),
        )),
    ),
}  # fmt: skip

ENGINE: dict[str, tuple[Panel, ...]] = {
    "Is it well?": (
        Panel("Processes", "That answer.", (('sum(up{job="aiops"})', ""),), single=True),
        Panel("Furthest behind", "Event time.", (("max(aiops:lag_seconds:max)", ""),), "s", single=True),
        Panel("Sources let go", "Not waited for.",
              (("count(max by (source) (aiops_source_away) == 1) or vector(0)", ""),), single=True),
        Panel("Configurations", "More than one: processes disagree.",
              (("count(count by (config) (aiops_build_info))", ""),), single=True),
    ),
    "Time": (
        Panel("Lag", "By role, the partition that is furthest behind.", (("aiops:lag_seconds:max", "{{role}}"),), "s"),
        Panel("Added latency, 95th percentile", "What transport, queues and waiting add to a window.",
              (("aiops:added_latency_seconds:p95", "{{role}}"),), "s"),
        Panel("Age of the merged clock", "Of live operation.", (("aiops:clock_age_seconds:max", "{{role}}"),), "s"),
        Panel("Sources that are behind", "The five that hold the others up.",
              (("bottomk(5, min by (source) (aiops_source_clock_seconds > 0)) - time()", "{{source}}"),), "s"),
    ),
    "Throughput": (
        Panel("Records taken in", "A second.", (("sum by (role) (rate(aiops_records_in_total[5m]))", "{{role}}"),), "ops"),
        Panel("CPU", "Cores.", (('sum by (role) (rate(process_cpu_seconds_total{job="aiops"}[5m]))', "{{role}}"),)),
        Panel("Memory", "Resident, the largest process of a role.",
              (('max by (role) (process_resident_memory_bytes{job="aiops"})', "{{role}}"),), "bytes"),
        Panel("A step, 99th percentile", "Processing some records of a partition.",
              (("histogram_quantile(0.99, sum by (le, role) (rate(aiops_step_seconds_bucket[5m])))", "{{role}}"),), "s"),
    ),
    "State": (
        Panel("Snapshots", "Age of the oldest.", (("max by (role) (aiops_snapshot_age_seconds)", "{{role}}"),), "s"),
        Panel("Size of snapshots", "The largest.", (("max by (role) (aiops_snapshot_bytes)", "{{role}}"),), "bytes"),
        Panel("What detect knows", "", (
            ("sum(aiops_stage_detect_series)", "series"), ("sum(aiops_stage_detect_services)", "services"),
            ("sum(aiops_stage_detect_full_signals)", "full signals"),
        )),
        Panel("Lost or refused", "A minute.", (
            ("60 * sum(rate(aiops_dead_letters_total[5m]))", "dead letters"),
            ("60 * sum(rate(aiops_refused_records_total[5m]))", "refused records"),
            ("60 * sum(rate(aiops_stage_ingest_late_total[5m]))", "late items"),
        )),
    ),
}  # fmt: skip


def main() -> int:
    """Write, or with ``--check`` say what is not current."""
    stale = []
    for name, text in built().items():
        path = HERE / name
        if "--check" in sys.argv[1:]:
            if not path.is_file() or path.read_text() != text:
                stale.append(name)
        else:
            path.write_text(text)
    if stale:
        sys.stderr.write(f"not current: {', '.join(stale)}: python deploy/grafana/build.py writes them\n")
    return int(bool(stale))


def built() -> dict[str, str]:
    """Names of files and their text."""
    of = {
        "aiops-incidents.json": _dashboard("aiops: incidents", "aiops-incidents", INCIDENTS),
        "aiops-engine.json": _dashboard("aiops: the engine", "aiops-engine", ENGINE),
    }
    return {name: JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n" for name, made in of.items()}


def _dashboard(title: str, uid: str, rows: dict[str, tuple[Panel, ...]]) -> dashboard.Dashboard:
    out = (
        dashboard.Dashboard(title)
        .uid(uid)
        .tags(["aiops"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("utc")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for row, panels in rows.items():
        out = out.with_row(dashboard.Row(row))
        for panel in panels:
            out = out.with_panel(_panel(panel))
    return out


def _panel(panel: Panel) -> stat.Panel | timeseries.Panel:
    made = (stat.Panel() if panel.single else timeseries.Panel()).title(panel.title).description(panel.about)
    made = made.unit(panel.unit).datasource(SOURCE)
    made = made.span(NARROW if panel.single else WIDE).height(LOW if panel.single else HIGH)
    for expression, legend in panel.shown:
        made = made.with_target(prometheus.Dataquery().expr(expression).legend_format(legend))
    return made


if __name__ == "__main__":
    sys.exit(main())
