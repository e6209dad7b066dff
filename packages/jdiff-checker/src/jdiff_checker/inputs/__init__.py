"""Reads and checks the inputs: the upload, the split, the prompt lists."""
