"""Rules that others published, for the same cases: BARO's RobustScorer, N-Sigma, and the latest change.

RobustScorer (Pham et al., BARO: Robust Root Cause Analysis for Microservices, FSE 2024): every column is centred by the
median and scaled by the interquartile range of its normal rows; its score is the greatest scaled value of the fault's rows;
services follow in the order of their best column; columns that stand still in either part are left out.  N-Sigma is the same
with mean and standard deviation.  Both are one-sided, as published.  They are written down here in a few lines; with an
interpreter that has ``fse-baro``, the library itself runs.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.root_cause_days import Table

RULES = ("baro", "nsigma")
ROUNDING = 2.3e-15  # a spread below it is none, as in the library

_LIBRARY = """
import json, sys
import pandas as pd
from baro.root_cause_analysis import nsigma, robust_scorer
rules = {"baro": robust_scorer, "nsigma": nsigma}
out = []
for case in json.load(open(sys.argv[1])):
    data = pd.DataFrame(case["rows"], columns=case["columns"])
    data["time"] = range(len(data))
    out.append({name: rule(data, inject_time=case["normal"], dataset=None)["ranks"] for name, rule in rules.items()})
json.dump(out, open(sys.argv[2], "w"))
"""


def scores(table: Table, rule: str) -> Any:
    """Greatest scaled value of each column in the fault's rows; float64[columns], -inf where there is none."""
    out = np.full(len(table.columns), -np.inf)
    for k in range(len(table.columns)):
        normal, fault = table.normal[:, k], table.fault[:, k]
        normal, fault = normal[np.isfinite(normal)], fault[np.isfinite(fault)]
        if not len(normal) or not len(fault) or not np.ptp(normal) or not np.ptp(fault):
            continue
        if rule == "baro":
            low, middle, high = np.quantile(normal, [0.25, 0.5, 0.75])
            scale = high - low
        else:
            middle, scale = normal.mean(), normal.std()
        out[k] = float(((fault - middle) / (scale if scale > ROUNDING else 1.0)).max())
    return out


def ranking(table: Table, rule: str) -> list[str]:
    """Services in the order of their best column."""
    score = scores(table, rule)
    order = [k for k in np.argsort(-score, kind="stable").tolist() if np.isfinite(score[k])]
    return list(dict.fromkeys(table.services[k] for k in order))


def by_library(python: str, cases: Sequence[Table]) -> dict[str, list[list[str]]]:
    """The same from ``fse-baro`` in another interpreter, which cannot read holes: they are filled with the normal median."""
    given = []
    for table in cases:
        keep = np.flatnonzero(np.isfinite(table.normal).any(0) & np.isfinite(table.fault).any(0)).tolist()
        whole = np.concatenate([table.normal, table.fault])[:, keep]
        rows = np.where(np.isfinite(whole), whole, np.nanmedian(table.normal[:, keep], axis=0)).tolist()
        # Names of columns are numbers, so that no preprocessing by name takes hold.
        given.append({"columns": [f"c{k}" for k in keep], "normal": len(table.normal), "rows": rows})
    with tempfile.TemporaryDirectory() as folder:
        asked, told = Path(folder) / "cases.json", Path(folder) / "ranks.json"
        asked.write_text(json.dumps(given))
        subprocess.run([python, "-c", _LIBRARY, str(asked), str(told)], check=True)  # noqa: S603  # the caller names the interpreter
        found = json.loads(told.read_text())
    out: dict[str, list[list[str]]] = {rule: [] for rule in RULES}
    for table, ranks in zip(cases, found, strict=True):
        for rule in RULES:
            out[rule].append(list(dict.fromkeys(table.services[int(name[1:])] for name in ranks[rule])))
    return out
