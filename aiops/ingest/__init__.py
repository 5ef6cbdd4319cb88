"""Columns in, 10 s windows of metrics and log shapes out; spans are passed on by trace."""
