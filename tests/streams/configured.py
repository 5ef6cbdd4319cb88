"""The least that a configuration says, as properties of a client and as a file; and a file that says more."""

from __future__ import annotations

from pathlib import Path

from streams.settings import Settings, load

KAFKA = {"bootstrap.servers": "localhost:9092"}
MINIMAL = "kafka: {bootstrap.servers: 'localhost:9092'}\n"


def configured(folder: Path, text: str) -> Settings:
    """What a file says beside the least."""
    path = folder / "aiops.yaml"
    path.write_text(MINIMAL + text)
    return load(path, {})
