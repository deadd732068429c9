"""Readers of other programs' networks. Nothing is ever unpickled beyond tensors."""
