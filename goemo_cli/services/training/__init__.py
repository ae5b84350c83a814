"""`goemo train`: from settings to a finished run."""
