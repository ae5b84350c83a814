"""Trials that kill processes and let system calls fail, for `make torture`; short ones run as tests."""
