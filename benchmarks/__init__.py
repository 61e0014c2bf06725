"""Benchmarks of chunkserve beside other servers; ``python -m benchmarks --help`` lists them."""
