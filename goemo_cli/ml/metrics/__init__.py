"""Scores, thresholds, calibration and statistics over arrays."""
