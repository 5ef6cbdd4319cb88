"""Windows in, anomalies and evidence rows out: one algorithm a file, run over columns of series."""
