"""Labelled texts in memory."""
