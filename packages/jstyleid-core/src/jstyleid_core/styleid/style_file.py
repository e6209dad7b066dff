"""The file of a style: its header, and its tensors as numpy arrays. Jittor is not started.

The file may come from anybody. It is read only where it is, number by number, what the model would
record of the style now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.config import UNetConfig
from jstyleid_core.errors import CheckpointError, InputError, StaleStyleError
from jstyleid_core.styleid.layers import check_layers
from jstyleid_core.styleid.settings import StyleIDSettings
from jstyleid_core.weights.tensors import load_tensors

if TYPE_CHECKING:
    from jstyleid_core.pipeline import StableDiffusion
    from jstyleid_core.styleid.injection import Part

FORMAT = "jstyleid-style-1"
LATENTS = "latents"
"""Name of the tensor of the inverted latents."""
PALETTE = "palette"
"""Name of the tensor of the picture's colours, (P, 3) integers; older files have none."""


@dataclass(frozen=True)
class Recipe:
    """The settings that a recorded style depends on."""

    steps: int
    layers: tuple[int, ...]
    """Empty where nothing is injected."""
    dtype: str
    inversion: str = "ddim"
    """With the seed of the noise where the style is noised instead of inverted."""
    queries: bool = False
    """Whether the style's queries are recorded, too."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The projections that are recorded."""
        return ("query", "key", "value") if self.queries else ("key", "value")

    @classmethod
    def of(cls, settings: StyleIDSettings, model: StableDiffusion) -> Recipe:
        """The recipe that a style needs for these settings."""
        dtype = model.dtype if settings.feature_dtype == "auto" else settings.feature_dtype
        inversion = settings.inversion
        if inversion == "noised":
            inversion = f"{inversion}, seed {settings.seed}"
        layers = settings.layers if settings.injection else ()
        return cls(settings.steps, layers, dtype, inversion, settings.negative_query)


@dataclass(frozen=True)
class Expected:
    """What a style's file must hold.

    Attributes:
        recipe: settings of the recording.
        model: fingerprint of the model.
        backend: backend of the model.
        unet: configuration of its UNet.
        timesteps: timesteps of the recording.
        image: digest of the picture; None where any will do.
        colours: whether the picture's colours are needed.
    """

    recipe: Recipe
    model: str
    backend: str
    unet: UNetConfig
    timesteps: tuple[int, ...]
    image: str | None = None
    colours: bool = False

    def header(self, image: str) -> dict[str, str]:
        """The texts in the file's header, but for the digest of the tensors."""
        fields: dict[str, Any] = asdict(self.recipe)
        return {"format": FORMAT, "model": self.model, "backend": self.backend, "image": image,
                **{name: json.dumps(value) for name, value in fields.items()}}

    def names(self) -> Iterator[str]:
        """The names of the tensors of features."""
        return (tensor_name(timestep, layer, part) for timestep in self.timesteps
                for layer in self.recipe.layers for part in self.recipe.parts)


def tensor_name(timestep: int, layer: int, part: Part) -> str:
    """The name of a projection's tensor."""
    return f"{timestep}.{layer}.{part}"


def read_style(path: Path, expected: Expected) -> tuple[dict[str, NDArray[Any]], str]:
    """The tensors of a style's file, and the digest of its picture.

    Raises:
        StaleStyleError: the style was made with something else; the message names it.
        InputError: the file is damaged or not a style.
    """
    try:
        tensors, metadata = load_tensors(path)
        if metadata.get("format") != FORMAT:
            raise InputError(f"{path} is not a style file written by this version")
        image = expected.image or metadata["image"]
        _check(path, metadata, expected.header(image))
        # Files of older versions have no digest.
        if metadata.get("sha256", digest := digest_of(tensors)) != digest:
            raise ValueError("its numbers are not those that were written")
        if expected.colours and PALETTE not in tensors:
            raise StaleStyleError(f"{path} was recorded without the colours of its picture, which "
                                  "colour_match needs. Record the style again.")
        _check_tensors(tensors, expected)
    except (CheckpointError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} is not a whole style file ({error}). Save the style again.") from error
    return tensors, image


def _check_tensors(tensors: Mapping[str, NDArray[Any]], expected: Expected) -> None:
    wanted = {LATENTS, *expected.names()}
    if missing := sorted(wanted - tensors.keys()):
        raise ValueError(f"it lacks {missing[0]} and {len(missing) - 1} more")
    unet = expected.unet
    check_layers(expected.recipe.layers, unet)
    batch, channels, height, width = (*tensors[LATENTS].shape, 0, 0, 0, 0)[:4]
    if tensors[LATENTS].ndim != 4 or (batch, channels) != (1, unet.in_channels) or not (
            height and width):
        raise ValueError(f"{LATENTS} {list(tensors[LATENTS].shape)} are no latents of this model")
    _check_palette(tensors.get(PALETTE))
    levels = len(unet.block_out_channels)
    for name in sorted(wanted):
        values = tensors[name]
        if values.dtype.kind != "f" or not np.isfinite(values).all():
            raise ValueError(f"{name} holds what is no finite number")
        if name == LATENTS:
            continue
        block = int(name.split(".")[1]) // 3
        scale = 2 ** (levels - 1 - block)
        shape = (1, -(-height // scale) * -(-width // scale), unet.block_out_channels[-1 - block])
        if values.shape != shape:
            raise ValueError(f"{name} {list(values.shape)} should be {list(shape)}")


def _check_palette(palette: NDArray[Any] | None) -> None:
    if palette is None:
        return
    if palette.dtype.kind != "i" or palette.ndim != 2 or palette.shape[1] != 3 or not len(palette):
        raise ValueError(f"{PALETTE} {list(palette.shape)} is none of RGB values")
    if palette.min() < 0 or palette.max() > 255:
        raise ValueError(f"{PALETTE} has values beyond 0 to 255")


def digest_of(tensors: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of the names, number formats, shapes and numbers of tensors."""
    digest = hashlib.sha256()
    for name, values in sorted(tensors.items()):
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _check(path: Path, found: dict[str, str], wanted: dict[str, str]) -> None:
    # Which files of older versions do not say.
    found = {"backend": "native", "inversion": json.dumps("ddim"), "queries": json.dumps(False),
             **found}
    for field, value in wanted.items():
        if found.get(field) != value:
            raise StaleStyleError(
                f"{path} was recorded with {field} {found.get(field)}, now it is {value}. "
                "Record the style again."
            )
