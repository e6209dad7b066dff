"""JDiffusion's networks under this project's methods, for those who have its installation.

It runs in an environment of its own: its Jittor is an older fork, and its `torch` is jtorch. The
files in `install` say what belongs there; `environment` says what is missing.
"""

NO_CHECKPOINTING = (
    "gradient checkpointing is not possible with --backend jdiffusion, whose own is an empty "
    "function. Give --no-gradient-checkpointing, or train with --backend native: the LoRA serves "
    "both."
)
