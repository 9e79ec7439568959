"""Cells, recurrences and layers: the maths of recurrent networks, which knows no screen and no disk.

Arrays over time are time-major, `[T, B, ...]`, everywhere in this package: one step of a batch is then one
contiguous block, which is what `lax.scan` slices.
"""
