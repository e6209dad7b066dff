"""What a run's gallery shows."""

from jstyleid_runner.pages.gallery import GalleryPrompt, GalleryStyle
from jstyleid_runner.planning.plan import Plan, StylePlan
from jstyleid_runner.storage.layout import OutFolder


def gallery_of(plan: Plan, folder: OutFolder) -> tuple[GalleryStyle, ...]:
    """The pictures that `plan` makes in `folder`, whether they are there yet or not."""
    return tuple(_gallery_style(style, folder) for style in plan.styles)


def _gallery_style(style: StylePlan, folder: OutFolder) -> GalleryStyle:
    prompts = tuple(
        GalleryPrompt(
            draw.prompt,
            folder.picture(draw.style, draw.prompt),
            folder.content(draw.style, draw.prompt) if stylise else None,
        )
        for draw, stylise in style.pairs
    )
    chosen = style.invert.reference if style.invert else None
    return GalleryStyle(style.style, style.samples, prompts, chosen)
