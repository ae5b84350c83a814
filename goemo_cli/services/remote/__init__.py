"""What is done with W&B besides downloading: sync a journal, check a copy, make a report."""
