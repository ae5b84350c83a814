"""The shell: each command parses, calls one service, and says the result."""
