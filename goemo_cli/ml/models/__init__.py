"""Classifiers: building, loading, saving, predicting."""
