"""The engine on Kafka: topics, sources and clocks, partition workers, the four roles, and the commands that need a broker."""
