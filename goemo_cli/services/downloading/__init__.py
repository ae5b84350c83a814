"""`goemo download`: from W&B into the local layout; what is there, where it goes, staged and checked."""
