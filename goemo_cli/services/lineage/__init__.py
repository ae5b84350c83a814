"""`goemo lineage`: from data to figures, and what is stale."""
