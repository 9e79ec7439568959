"""The lecture: its systems, and the command that lists and runs them."""
