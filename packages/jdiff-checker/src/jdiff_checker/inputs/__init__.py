"""Reads and checks what is scored: the upload, the split, the prompt lists."""
