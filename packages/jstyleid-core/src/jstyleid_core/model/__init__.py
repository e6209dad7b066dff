"""The networks of Stable Diffusion, one part a file, built from a checkpoint's own configuration.

Modules carry the names diffusers and transformers give them, so that a parameter's path in the
module tree is its name in the checkpoint.
"""
