"""LoRAs that `jstyleid lora convert` writes for other programs to read; run with the packages.

``python converted_loras.py`` writes ``golden/lora/converted``: files of ``lora_schemes.py``, whose
ranks and alphas differ from layer to layer, in each format. ``test_lora_reference.py`` has
diffusers and peft make the same updates of them as of the files they were made of; the tests of
jstyleid-dreambooth see to it that the package still writes these bytes.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from converted_names import CONVERTED
from jstyleid_dreambooth import read_lora
from jstyleid_dreambooth.lora.files.formats import write_as
from lora_schemes import SCHEMES
from reference_sets import GOLDEN_LORA


def write_set(folder: Path) -> None:
    """Write every file of ``CONVERTED`` into ``folder``, which is empty or not there."""
    for name, (scheme, form, part) in CONVERTED.items():
        with tempfile.TemporaryDirectory() as place:
            lora = read_lora(SCHEMES[scheme](Path(place)))
        layers = {part: lora.layers[part]} if part else lora.layers
        write_as(folder / name, replace(lora, layers=layers, source=scheme), form)


if __name__ == "__main__":
    write_set(GOLDEN_LORA / "converted")
