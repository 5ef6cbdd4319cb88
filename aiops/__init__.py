"""Streaming AIOps engine: telemetry in the formats producers already use, few explained incidents out."""

__version__ = "0.1.0"
