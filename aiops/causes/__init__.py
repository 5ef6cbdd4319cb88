"""Incidents and evidence rows in, ranked root-cause hypotheses with their evidence out."""
