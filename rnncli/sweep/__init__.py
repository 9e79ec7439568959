"""Many trainings of one kind: every choice of some settings, several seeds, the best by validation."""
