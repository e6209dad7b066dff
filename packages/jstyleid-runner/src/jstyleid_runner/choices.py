"""Values that options and settings share; light, because `--help` reads them."""

from typing import Literal

Method = Literal["dreambooth", "styleid", "styleid-dreambooth", "direct", "direct-dreambooth"]
WITHOUT_LORA: tuple[Method, ...] = ("styleid", "direct")
DIRECT: tuple[Method, ...] = ("direct", "direct-dreambooth")
"""Methods that stylise while they draw."""
Way = Literal["plain", "direct", "trajectory"]
"""How a prompt is drawn: plainly, in the style, or stylised from the recorded drawing."""
Start = Literal["noise", "mean"]
EngineName = Literal["local", "ray"]
Prediction = Literal["epsilon", "v_prediction"]
"""`PredictionType` of the core's `config`, which is not light."""
