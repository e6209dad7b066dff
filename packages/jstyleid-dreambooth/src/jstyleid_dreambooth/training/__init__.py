"""DreamBooth (Ruiz et al., arXiv 2208.12242) with LoRA: what is trained on, how, and the files.

What is pure data (settings, presets, prompts, jobs) starts no Jittor.
"""
