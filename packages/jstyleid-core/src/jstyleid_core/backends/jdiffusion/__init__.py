"""JDiffusion's networks under this project's methods, where JDiffusion is installed.

JDiffusion runs in an environment of its own: with an older fork of Jittor, and jtorch as `torch`.
The files in `install` list what belongs there; `environment` finds what is missing.
"""

from jstyleid_core.errors import InputError, setting


def no_checkpointing() -> InputError:
    """The error where a training on JDiffusion asks for gradient checkpointing."""
    return InputError(
        f"gradient checkpointing is not possible with {setting('backend')} jdiffusion, whose own "
        f"is an empty function. Give {setting('no_gradient_checkpointing')}, or train with "
        f"{setting('backend')} native: the LoRA serves both.",
        fields=["backend"],
    )
