"""Exported models: make them, find them, and choose the engine of predictions."""
