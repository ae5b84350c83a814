"""Predict many files in shards: a plan, parts that any process can compute, and a check that each row is there once."""
