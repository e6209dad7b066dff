"""Neon: glowing tubes in the dark."""

from __future__ import annotations

from numpy.random import Generator
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from jstyleid_core.drawn_world.plain import draw_line
from jstyleid_core.drawn_world.scene import Scene

_FINER = 2
_TUBES = ((255, 45, 165), (40, 235, 255), (255, 225, 70), (120, 255, 110))


def neon(rng: Generator, scene: Scene, size: int) -> Image.Image:
    """Each tone's outlines are a tube of one colour."""
    fine = size * _FINER
    order = rng.permutation(len(_TUBES))
    tubes = dict(zip(("main", "second", "dark", "light"), (_TUBES[i] for i in order), strict=True))
    lines = Image.new("RGB", (fine, fine))
    cores = Image.new("RGB", (fine, fine))
    for shape in scene.drawing:
        draw_line(ImageDraw.Draw(lines), shape.outline, fine, 0.022, tubes[shape.tone])
        draw_line(ImageDraw.Draw(cores), shape.outline, fine, 0.008, (255, 255, 255))
    night = Image.new("RGB", (fine, fine), (30, 22, 56))
    glow = lines.filter(ImageFilter.GaussianBlur(fine * 0.03)).point(lambda v: min(255, v * 2))
    picture = night
    for light in (glow, lines, cores.filter(ImageFilter.GaussianBlur(1))):
        picture = ImageChops.screen(picture, light)
    return picture.reduce(_FINER)
