"""Benchmarks: `make bench` runs them; each writes one file in results/, and docs/performance.md is made from these files."""
