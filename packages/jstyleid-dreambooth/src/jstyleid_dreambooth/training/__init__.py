"""DreamBooth (Ruiz et al., arXiv 2208.12242) with LoRA: settings, data, training and files.

Pure data (`settings`, `presets`, `job`, `dataset`, `prior`, `checkpoints`) starts no Jittor.
"""
