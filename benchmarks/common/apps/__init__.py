"""Scripts that run in the peers' environments. Each takes FILE PORT WORKERS and imports nothing of ours."""
