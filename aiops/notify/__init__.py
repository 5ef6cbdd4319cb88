"""Who is told what of an incident, when and how: versions of incidents in, messages for sinks out; no clock, no network."""
