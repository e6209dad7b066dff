"""Plain rendering of scenes, as filled shapes on a background, to train the embedded model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from jstyleid_core.synthetic.scene import Background, Colour, Scene
from jstyleid_core.synthetic.shapes import Shape

_FINER = 3
"""Pictures are drawn so many times larger and shrunk, which smooths the edges."""


def draw_plain(scene: Scene, size: int) -> Image.Image:
    """The scene as a square RGB picture of `size` pixels a side."""
    fine = size * _FINER
    picture = background_picture(scene.background, size)
    picture = picture.resize((fine, fine), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(picture)
    for shape in scene.drawing:
        if scene.outline and not shape.width:
            draw_line(pen, np.concatenate([shape.points, shape.points[:2]]), fine,
                      2 * scene.outline, rgb(scene.colours["dark"]))
        draw_shape(pen, shape, fine, rgb(scene.colours[shape.tone]))
    picture = picture.reduce(_FINER)
    return _shaded(picture, scene, size) if scene.shading else picture


def background_picture(background: Background, size: int) -> Image.Image:
    """The background alone, as an RGB picture."""
    y, x = np.mgrid[0:size, 0:size] / size
    along = x * np.cos(background.angle) + y * np.sin(background.angle)
    period = background.measure
    match background.pattern:
        case "plain":
            share = np.zeros_like(x)
        case "ground":
            share = (y > background.measure).astype(np.float64)
        case "gradient":
            share = y
        case "stripes":
            share = (along % period < period / 2).astype(np.float64)
        case "dots":
            share = (np.hypot(x % period - period / 2, y % period - period / 2) < period * 0.28
                     ).astype(np.float64)
        case "checks":
            share = ((x // period + y // period) % 2).astype(np.float64)
    first, second = background.colours
    pixels = first + (second - first) * share[..., None]
    return Image.fromarray(np.rint(pixels * 255).astype(np.uint8))


def draw_shape(
    pen: ImageDraw.ImageDraw, shape: Shape, size: int, fill: tuple[int, ...] | int
) -> None:
    """Draw a shape on a picture of `size` pixels a side."""
    if shape.width:
        draw_line(pen, shape.points, size, shape.width, fill)
    else:
        pen.polygon([tuple(point) for point in shape.points * size], fill=fill)


def draw_line(
    pen: ImageDraw.ImageDraw, points: NDArray[np.float64], size: int, width: float,
    fill: tuple[int, ...] | int,
) -> None:
    """A line with round ends; its width is a share of the picture."""
    pixels = points * size
    thick = max(1, round(width * size))
    pen.line([tuple(point) for point in pixels], fill=fill, width=thick, joint="curve")
    if thick > 2:
        for x, y in (pixels[0], pixels[-1]):
            pen.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=fill)


def mask_of(scene: Scene, size: int) -> NDArray[np.float64]:
    """How much of each pixel the object covers, (size, size) from 0 to 1."""
    mask = Image.new("L", (size * _FINER, size * _FINER))
    pen = ImageDraw.Draw(mask)
    for shape in scene.drawing:
        draw_shape(pen, shape, size * _FINER, 255)
    return np.asarray(mask.reduce(_FINER)) / 255.0


def rgb(colour: Colour) -> tuple[int, ...]:
    """A colour for Pillow."""
    return tuple(int(value) for value in np.rint(colour * 255))


def _shaded(picture: Image.Image, scene: Scene, size: int) -> Image.Image:
    """The object lit from above."""
    ys = np.concatenate([shape.points[:, 1] for shape in scene.drawing])
    top, bottom = float(ys.min()), float(ys.max())
    height = (np.arange(size) / size - top) / (bottom - top)
    light = 1 - scene.shading * np.clip(height, 0, 1)[:, None] * mask_of(scene, size)
    pixels = np.asarray(picture) * light[..., None]
    return Image.fromarray(np.rint(pixels).astype(np.uint8))
