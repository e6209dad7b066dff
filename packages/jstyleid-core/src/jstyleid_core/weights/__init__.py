"""Checkpoints on disk and on the hub, and how their tensors get into the modules.

All knowledge of foreign file layouts and tensor names is in this package.
"""
