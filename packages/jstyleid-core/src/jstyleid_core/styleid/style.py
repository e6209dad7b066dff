"""Styles: a picture inverted once, to be used for any number of contents, and its file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import save_file

from jstyleid_core.errors import InputError
from jstyleid_core.files import atomic_path
from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_core.styleid.colours import Palette
from jstyleid_core.styleid.injection import Features
from jstyleid_core.styleid.rules import Projections
from jstyleid_core.styleid.settings import StyleIDSettings
from jstyleid_core.styleid.style_file import (
    LATENTS,
    PALETTE,
    Expected,
    Recipe,
    digest_of,
    read_style,
    tensor_name,
)

if TYPE_CHECKING:
    from jstyleid_core.pipeline import StableDiffusion


@dataclass(frozen=True, eq=False)
class Style:
    """One style picture at t = T, and the features of the injection layers.

    Attributes:
        latents: (1, 4, h, w) float32, the inverted latents.
        palette: (P, 3) colours of the picture; None in files of older versions.
        features: key and value, (1, M, C) each, by timestep and layer; the query, too, where the
            recipe says so.
        recipe: settings of the recording.
        image_hash: SHA-256 of the picture's size and pixels.
        model: model of the recording.
    """

    latents: Var
    palette: Palette | None
    features: Features
    recipe: Recipe
    image_hash: str
    model: StableDiffusion

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the style to one safetensors file, tied to its model, settings and picture.

        Raises:
            OutputError: the file cannot be written.
        """
        tensors: dict[str, NDArray[Any]] = {LATENTS: self.latents.numpy()}
        if self.palette is not None:
            tensors[PALETTE] = self.palette.astype(np.int32)
        for timestep, layers in self.features.items():
            for layer, seen in layers.items():
                for part in self.recipe.parts:
                    tensors[tensor_name(timestep, layer, part)] = getattr(seen, part).numpy()
        metadata = _expected(self.recipe, self.image_hash, self.model).header(self.image_hash)
        metadata["sha256"] = digest_of(tensors)
        with atomic_path(path) as temporary:
            try:
                save_file(tensors, temporary, metadata=metadata)
            except SafetensorError as error:
                raise OSError(str(error)) from error

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        model: StableDiffusion,
        settings: StyleIDSettings,
        image: Image.Image | None = None,
    ) -> Style:
        """Read a saved style, if inverting now would give the same.

        Args:
            path: a file `save` wrote.
            model: the model; must be that of the recording.
            settings: settings; steps, layers and feature type must be those of the recording.
            image: style picture; if given, must be that of the recording.

        Raises:
            StaleStyleError: the style was made with something else; the message names it.
            InputError: the file is missing, damaged or not a style.
        """
        path = Path(path)
        recipe = Recipe.of(settings, model)
        if not os.path.exists(path):
            raise InputError(f"{path}: no such style file. Check the path.")
        expected = _expected(recipe, hash_image(image) if image else None, model,
                             colours=settings.colour_match > 0)
        tensors, image_hash = read_style(path, expected)
        features: Features = {timestep: {} for timestep in expected.timesteps}
        for timestep, seen in features.items():
            for layer in recipe.layers:
                seen[layer] = Projections(**{
                    str(part): jt.array(tensors[tensor_name(timestep, layer, part)])
                    for part in recipe.parts})
        palette = tensors[PALETTE].astype(np.uint8) if PALETTE in tensors else None
        latents = jt.array(tensors[LATENTS])
        return cls(latents, palette, features, recipe, image_hash, model)


def hash_image(image: Image.Image) -> str:
    """SHA-256 of a picture's size and RGB pixels."""
    rgb = image.convert("RGB")
    return hashlib.sha256(f"{rgb.size}".encode() + rgb.tobytes()).hexdigest()


def _expected(
    recipe: Recipe, image_hash: str | None, model: StableDiffusion, *, colours: bool = False
) -> Expected:
    timesteps = tuple(model.schedule.timesteps(recipe.steps))
    return Expected(recipe, model.fingerprint, model.backend, model.networks.unet_config,
                    timesteps, image_hash, colours)
