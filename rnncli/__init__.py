"""Recurrent networks on JAX, from data to a trained model without leaving the shell."""

__version__ = "0.1.0"
