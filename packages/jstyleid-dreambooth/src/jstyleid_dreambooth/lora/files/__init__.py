"""LoRA files: every common spelling is read, diffusers' is written.

All knowledge of foreign key names and file layouts is in this package, which needs no Jittor.
"""

from jstyleid_dreambooth.lora.files.reading import read_lora
from jstyleid_dreambooth.lora.files.writing import write_lora

__all__ = ["read_lora", "write_lora"]
