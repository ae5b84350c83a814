"""Runs on W&B: download, sync, check, report."""
