"""DreamBooth-LoRA training and generation in Jittor; nothing is implemented yet (see README.md)."""

__version__ = "0.1.0"
