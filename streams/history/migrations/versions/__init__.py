"""One step a module; what a release has shipped is never edited, the next release adds a step."""
