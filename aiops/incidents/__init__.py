"""Anomalies in, incidents out: order, deduplicate, correlate, follow their life."""
