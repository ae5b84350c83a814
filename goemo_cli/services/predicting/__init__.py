"""Predicting on any text: where texts come from, what is computed, where it goes."""
