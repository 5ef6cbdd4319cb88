"""The least that a configuration says, as properties of a client and as a file."""

from __future__ import annotations

KAFKA = {"bootstrap.servers": "localhost:9092"}
MINIMAL = "kafka: {bootstrap.servers: 'localhost:9092'}\n"
