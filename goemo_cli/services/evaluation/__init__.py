"""What is computed from a finished run or a predictions file."""
