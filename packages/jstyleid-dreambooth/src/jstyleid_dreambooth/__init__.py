"""DreamBooth-LoRA for the Jittor Stable Diffusion of `jstyleid_core`: layers, files, training.

Importing this package is instant and silent. Reading and writing LoRA files needs numpy only;
Jittor starts when `LoRAs` or `train_lora` is first touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jstyleid_core.lazy import lazy_names
from jstyleid_core.version import __version__

if TYPE_CHECKING:
    from jstyleid_dreambooth.lora.files import read_lora, write_lora
    from jstyleid_dreambooth.lora.files.describing import LoRADescription, describe_lora
    from jstyleid_dreambooth.lora.initial import LoRASettings, new_lora
    from jstyleid_dreambooth.lora.layers import Trainables
    from jstyleid_dreambooth.lora.loras import LoRAs
    from jstyleid_dreambooth.lora.weights import LoRAWeights, LowRank
    from jstyleid_dreambooth.training.job import StyleImages, TrainingJob
    from jstyleid_dreambooth.training.settings import PriorSettings, TrainingSettings
    from jstyleid_dreambooth.training.train import train_lora

__all__ = [
    "LoRADescription",
    "LoRASettings",
    "LoRAWeights",
    "LoRAs",
    "LowRank",
    "PriorSettings",
    "StyleImages",
    "Trainables",
    "TrainingJob",
    "TrainingSettings",
    "__version__",
    "describe_lora",
    "new_lora",
    "read_lora",
    "train_lora",
    "write_lora",
]

__getattr__ = lazy_names(__name__, {
    "LoRADescription": "jstyleid_dreambooth.lora.files.describing",
    "LoRASettings": "jstyleid_dreambooth.lora.initial",
    "LoRAWeights": "jstyleid_dreambooth.lora.weights",
    "LoRAs": "jstyleid_dreambooth.lora.loras",
    "LowRank": "jstyleid_dreambooth.lora.weights",
    "PriorSettings": "jstyleid_dreambooth.training.settings",
    "StyleImages": "jstyleid_dreambooth.training.job",
    "Trainables": "jstyleid_dreambooth.lora.layers",
    "TrainingJob": "jstyleid_dreambooth.training.job",
    "TrainingSettings": "jstyleid_dreambooth.training.settings",
    "describe_lora": "jstyleid_dreambooth.lora.files.describing",
    "new_lora": "jstyleid_dreambooth.lora.initial",
    "read_lora": "jstyleid_dreambooth.lora.files",
    "train_lora": "jstyleid_dreambooth.training.train",
    "write_lora": "jstyleid_dreambooth.lora.files",
})
