"""Fuzzing: one target for each place where octets of a stranger come in. `scripts/fuzz` runs them."""
