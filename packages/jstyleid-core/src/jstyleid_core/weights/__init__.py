"""Checkpoints on disk and on the hub, and the loading of their tensors into modules.

All knowledge of foreign file layouts and tensor names is in this package.
"""
