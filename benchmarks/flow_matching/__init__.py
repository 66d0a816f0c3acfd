"""Flow matching on manifolds: what `python -m benchmarks.flow_matching TABLE` prints."""
