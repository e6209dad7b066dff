"""Values that options and settings share; light, because `--help` reads them."""

from typing import Literal

Method = Literal["dreambooth", "styleid", "styleid-dreambooth"]
Start = Literal["noise", "mean"]
EngineName = Literal["local", "ray"]
Prediction = Literal["epsilon", "v_prediction"]
"""`PredictionType` of the core's `config`, which is not light."""
