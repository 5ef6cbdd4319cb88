"""Eviction in all tables of a detect partition at once: first what stays is decided everywhere, then everything is renumbered.

A row stays while it is in use (``retention``) and what it belongs to stays.  A service is seen with whatever of it is seen and
is kept longer than that, so it never goes before its series, operations or templates.
"""

from __future__ import annotations

import numpy as np

from aiops.detect.directory import Directory
from aiops.detect.logs import LogDetector
from aiops.detect.metrics import MetricDetector
from aiops.detect.retention import LOOK_EVERY, Kept
from aiops.detect.traces import TraceDetector

# Of which evictions are counted.
TABLES = (
    "services", "edges", "environments", "series", "instances", "log_rates", "log_shapes", "operations", "calls",
    "flows", "visit_events", "visit_pairs",
)  # fmt: skip


def forget(
    window: int, directory: Directory, metrics: MetricDetector, logs: LogDetector, traces: TraceDetector
) -> None:
    """Window `window` (start, Unix ns) begins: drop the rows that are old, before anything of it is taken in."""
    rule = directory.begin(window)
    if not rule.hourly:
        if window % LOOK_EVERY:
            return
        if not (directory.nearly_full or metrics.nearly_full or logs.nearly_full or traces.nearly_full):
            return
    metrics.tell_services()
    stays, edges, environments = directory.stays(rule)
    series, log_rows = metrics.stays(rule, stays), logs.stays(rule, stays)
    trace_rows = traces.stays(rule, stays, log_rows.numbers)
    masks = {
        "services": stays, "edges": edges, "environments": environments, "series": series, "log_rates": log_rows.keys,
        "log_shapes": log_rows.shapes, "operations": trace_rows.ops, "calls": trace_rows.calls, "flows": trace_rows.flows,
        "visit_events": trace_rows.events, "visit_pairs": trace_rows.pairs,
    }  # fmt: skip
    if all(mask.all() for mask in masks.values()):
        return
    for table, mask in masks.items():
        directory.evicted[table] += int(np.count_nonzero(~mask))
    of_service, of_edge, of_environment = Kept(stays), Kept(edges), Kept(environments)
    subjects = directory.subjects(of_service, of_edge)
    metrics.keep(Kept(series), of_service, subjects)
    numbers = logs.keep(log_rows, traces.events.numbers(trace_rows.events), of_service, of_environment, subjects)
    traces.keep(trace_rows, of_service, of_edge, of_environment, subjects, numbers)
    directory.keep(of_service, of_edge, of_environment, subjects)
