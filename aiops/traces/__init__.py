"""Spans in, 10 s windows of operations and edges out: self time, gaps, missing children."""
