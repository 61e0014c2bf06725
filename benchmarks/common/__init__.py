"""What several benchmarks share: servers and their processes, load, data, tables."""
