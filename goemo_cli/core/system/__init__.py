"""What differs between systems: locks of files, signals and processes. `core.files` has renames and flushes."""
