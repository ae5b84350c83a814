"""Mirrors of a run beyond its local files, and their absence."""
