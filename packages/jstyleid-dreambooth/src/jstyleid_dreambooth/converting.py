"""Conversion of checkpoints that consist of `.bin` files, as JDiffusion saves them.

``python -m jstyleid_dreambooth.converting FOLDER`` saves the weights of a checkpoint in diffusers
layout as safetensors, beside the `.bin` files. No code in the `.bin` files
is run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from safetensors.numpy import save_file

from jstyleid_core.errors import InputError, JStyleIDError
from jstyleid_core.files import atomic_path
from jstyleid_core.weights.torch_files import read_torch_file

_NAMES = {"diffusion_pytorch_model.bin": "diffusion_pytorch_model.safetensors",
          "pytorch_model.bin": "model.safetensors"}
"""Names of a component's weights in diffusers and transformers, and the names to save as."""


def convert(checkpoint: Path) -> list[Path]:
    """Save every component's `.bin` file as float32 safetensors.

    Args:
        checkpoint: the folder, in diffusers layout.

    Returns:
        The files written.

    Raises:
        InputError: the folder holds none.
        CheckpointError: a file is damaged, or holds anything but tensors.
    """
    found = [path for path in sorted(checkpoint.glob("*/*.bin")) if path.name in _NAMES]
    if not found:
        raise InputError(
            f"{checkpoint}: no component holds {' or '.join(_NAMES)}. Give the folder of a "
            "checkpoint in diffusers layout."
        )
    written = []
    for path in found:
        target = path.with_name(_NAMES[path.name])
        with atomic_path(target) as temporary:
            save_file(read_torch_file(path), temporary)
        written.append(target)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m jstyleid_dreambooth.converting FOLDER")
    try:
        print(*convert(Path(sys.argv[1])), sep="\n")
    except JStyleIDError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
