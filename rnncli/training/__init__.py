"""Training, checkpoints, devices and signals: what all tasks share."""
