"""Runs on this machine: what they are called, listed, compared, kept and removed."""
