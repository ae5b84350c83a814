"""Several trainings at the same time, each in a process: on this machine, or on a Ray cluster."""
