"""The engine on Kafka comes here: sources and clocks, partition workers, the four roles, sinks.  Nothing works yet."""
