"""What a run consists of: small jobs and what each needs, computed from split and settings alone.

A plan is pure data. It knows nothing of Jittor, of files or of what is done already, and it is
the same however many workers carry it out. Whoever executes it may pick any job whose `needs`
are done.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.errors import InputError
from jstyleid_runner.draws import content_seed, reference_index
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.split import Split, StyleFolder


@dataclass(frozen=True)
class GenerateContent:
    """Draw a prompt with the plain model."""

    style: str
    prompt: str
    seed: int
    steps: int
    evaluations: int

    @property
    def id(self) -> str:
        """The job's name in logs."""
        return f"content/{self.style}/{self.prompt}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The ids of the jobs that must be done before."""
        return ()


@dataclass(frozen=True)
class InvertStyle:
    """Invert the style's reference and keep what the stylised pictures take from it."""

    style: str
    reference: Path
    evaluations: int

    @property
    def id(self) -> str:
        """The job's name in logs."""
        return f"style/{self.style}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The ids of the jobs that must be done before."""
        return ()


@dataclass(frozen=True)
class Stylise:
    """Give a content picture the look of the style: one of the pictures asked for."""

    style: str
    prompt: str
    evaluations: int
    needs: tuple[str, ...]

    @property
    def id(self) -> str:
        """The job's name in logs."""
        return f"picture/{self.style}/{self.prompt}"


Job = GenerateContent | InvertStyle | Stylise


@dataclass(frozen=True)
class StylePlan:
    """The jobs of one style; content and picture with one index belong to one prompt."""

    invert: InvertStyle
    contents: tuple[GenerateContent, ...]
    pictures: tuple[Stylise, ...]

    @property
    def style(self) -> str:
        """The style's id."""
        return self.invert.style

    @property
    def pairs(self) -> Sequence[tuple[GenerateContent, Stylise]]:
        """Each prompt's two jobs."""
        return tuple(zip(self.contents, self.pictures, strict=True))


@dataclass(frozen=True)
class Plan:
    """All jobs of a run, by style."""

    styles: tuple[StylePlan, ...]

    @property
    def jobs(self) -> Iterator[Job]:
        """Every job, none before what it needs."""
        for style in self.styles:
            yield style.invert
            yield from style.contents
            yield from style.pictures

    @property
    def pictures(self) -> int:
        """How many pictures the run is for."""
        return sum(len(style.pictures) for style in self.styles)

    @property
    def evaluations(self) -> int:
        """How often the UNet is evaluated, counted per picture, when nothing is done yet."""
        return sum(job.evaluations for job in self.jobs)


def build_plan(split: Split, settings: RunSettings, prompts: int | None = None) -> Plan:
    """The plan of a run over `split`, with at most the first `prompts` prompts of each style.

    Raises:
        InputError: the method is not available, or a style lacks the reference asked for.
    """
    if settings.method != "styleid":
        raise InputError(
            f"--method {settings.method}: comes with DreamBooth training, which is not available "
            "yet. Use --method styleid."
        )
    return Plan(tuple(_plan_style(style, settings, prompts) for style in split.styles))


def guidance_evaluations(scale: float) -> int:
    """UNet evaluations a step: guidance takes a second one, for the negative prompt."""
    return 1 if scale == 1 else 2


def _plan_style(style: StyleFolder, settings: RunSettings, prompts: int | None) -> StylePlan:
    steps = settings.styleid.steps
    drawing = settings.content_steps
    evaluations = drawing * guidance_evaluations(settings.guidance)
    reference = style.references[reference_index(style, settings.reference, settings.seed)]
    invert = InvertStyle(style.id, reference, steps)
    contents = tuple(
        GenerateContent(
            style.id, prompt, content_seed(settings.seed, style.id, prompt), drawing, evaluations
        )
        for prompt in style.prompts[:prompts]
    )
    pictures = tuple(
        # The content's inversion and the reverse.
        Stylise(style.id, content.prompt, 2 * steps, needs=(content.id, invert.id))
        for content in contents
    )
    return StylePlan(invert, contents, pictures)
