"""Drain3 on the lines of `benchmarks.log_templates`: groups of every corpus, and lines per CPU second.

    python -m benchmarks.log_template_peer WORK.json

``WORK.json`` holds ``corpora``, name -> lines, and ``speed``, lines.  It needs nothing of the engine, so that Drain3 may have an
environment of its own.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

MASKS = (  # of Drain3's example file, drain3.ini
    (r"((?<=[^A-Za-z0-9])|^)(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))((?=[^A-Za-z0-9])|$)", "ID"),
    (r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)", "IP"),
    (r"((?<=[^A-Za-z0-9])|^)([0-9a-f]{6,} ?){3,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    (r"((?<=[^A-Za-z0-9])|^)([0-9A-F]{4} ?){4,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    (r"((?<=[^A-Za-z0-9])|^)(0x[a-f0-9A-F]+)((?=[^A-Za-z0-9])|$)", "HEX"),
    (r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "NUM"),
    (r"(?<=executed cmd )(\".+?\")", "CMD"),
)


def miner(kind: str) -> Any:
    """Drain3 with its defaults, or with the settings of its example file."""
    from drain3 import TemplateMiner  # type: ignore[import-not-found]
    from drain3.masking import MaskingInstruction  # type: ignore[import-not-found]
    from drain3.template_miner_config import TemplateMinerConfig  # type: ignore[import-not-found]

    config = TemplateMinerConfig()
    config.profiling_enabled = False
    if kind == "ini":
        config.masking_instructions = [MaskingInstruction(*mask) for mask in MASKS]
        config.mask_prefix, config.mask_suffix = "<:", ":>"
        config.drain_extra_delimiters, config.drain_max_clusters = ["_"], 1024
    return TemplateMiner(config=config)


def groups(lines: list[str], kind: str) -> list[int]:
    one = miner(kind)
    return [one.add_log_message(line)["cluster_id"] for line in lines]


def rate(lines: list[str], kind: str) -> float:
    one, begin = miner(kind), time.process_time()
    for line in lines:
        one.add_log_message(line)
    return len(lines) / (time.process_time() - begin)


def main() -> None:
    work = json.loads(Path(sys.argv[1]).read_text())
    kinds = ("ini", "default")
    out = {
        "groups": {name: {kind: groups(lines, kind) for kind in kinds} for name, lines in work["corpora"].items()},
        "speed": {kind: rate(work["speed"], kind) for kind in kinds} if work["speed"] else {},
    }
    sys.stdout.write(json.dumps(out))


if __name__ == "__main__":
    main()
