"""What each command does, as functions that return frozen results. They neither print nor exit."""
