"""Styles: a picture inverted once, to be used for any number of contents, and its file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import save_file

from jstyleid_core.errors import CheckpointError, InputError, StaleStyleError
from jstyleid_core.files import atomic_path
from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_core.styleid.colours import Palette
from jstyleid_core.styleid.injection import Features, Part
from jstyleid_core.styleid.rules import Projections
from jstyleid_core.styleid.settings import StyleIDSettings
from jstyleid_core.weights.tensors import load_tensors

if TYPE_CHECKING:
    from jstyleid_core.pipeline import StableDiffusion

FORMAT = "jstyleid-style-1"


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
        tensors: dict[str, NDArray[Any]] = {"latents": self.latents.numpy()}
        if self.palette is not None:
            tensors["palette"] = self.palette.astype(np.int32)
        for timestep, layers in self.features.items():
            for layer, seen in layers.items():
                for part in self.recipe.parts:
                    tensors[f"{timestep}.{layer}.{part}"] = getattr(seen, part).numpy()
        metadata = _identity(self.recipe, self.image_hash, self.model)
        metadata["sha256"] = _digest(tensors)
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
        try:
            tensors, metadata = load_tensors(path)
            if metadata.get("format") != FORMAT:
                raise InputError(f"{path} is not a style file written by this version")
            image_hash = hash_image(image) if image else metadata["image"]
            _check(path, metadata, _identity(recipe, image_hash, model))
            # Files of older versions have no digest.
            if metadata.get("sha256", digest := _digest(tensors)) != digest:
                raise ValueError("its numbers are not those that were written")
            features: Features = {}
            for name in tensors:
                if name.endswith(".key"):
                    timestep, layer, _ = name.split(".")
                    features.setdefault(int(timestep), {})[int(layer)] = Projections(**{
                        str(part): jt.array(tensors[f"{timestep}.{layer}.{part}"])
                        for part in recipe.parts})
            latents = jt.array(tensors["latents"])
            palette = _palette(path, tensors, settings)
        except (CheckpointError, KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{path} is not a whole style file ({error}). Save the style again.") from error
        return cls(latents, palette, features, recipe, image_hash, model)


def hash_image(image: Image.Image) -> str:
    """SHA-256 of a picture's size and RGB pixels."""
    rgb = image.convert("RGB")
    return hashlib.sha256(f"{rgb.size}".encode() + rgb.tobytes()).hexdigest()


def _palette(
    path: Path, tensors: Mapping[str, NDArray[Any]], settings: StyleIDSettings
) -> Palette | None:
    if "palette" not in tensors:
        if settings.colour_match:
            raise StaleStyleError(f"{path} was recorded without the colours of its picture, which "
                                  "colour_match needs. Record the style again.")
        return None
    palette = tensors["palette"]
    whole = palette.ndim == 2 and palette.shape[1] == 3 and len(palette) > 0
    if not whole or not ((palette >= 0) & (palette < 256)).all():
        raise ValueError("its palette is not one of RGB values")
    return palette.astype(np.uint8)


def _digest(tensors: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of the names, number formats, shapes and numbers of tensors."""
    digest = hashlib.sha256()
    for name, values in sorted(tensors.items()):
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _identity(recipe: Recipe, image_hash: str, model: StableDiffusion) -> dict[str, str]:
    fields: dict[str, Any] = asdict(recipe)
    return {"format": FORMAT, "model": model.fingerprint, "backend": model.backend,
            "image": image_hash, **{name: json.dumps(value) for name, value in fields.items()}}


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
