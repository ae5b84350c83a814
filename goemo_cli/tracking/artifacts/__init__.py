"""The artifact library: versioned artifacts on W&B or in a local store."""
