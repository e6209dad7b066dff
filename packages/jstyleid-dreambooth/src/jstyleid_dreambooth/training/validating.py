"""Pictures drawn with the LoRA while it is trained."""

from __future__ import annotations

from collections.abc import Callable

from jstyleid_core import StableDiffusion
from jstyleid_core.images import save_png
from jstyleid_dreambooth.training.events import Events
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_dreambooth.training.learner import Learner
from jstyleid_dreambooth.training.watching import Watcher


class Validator:
    """Draws a job's validation prompts every so many steps, each time from the same noise."""

    def __init__(
        self, job: TrainingJob, model: StableDiffusion, learner: Learner, events: Events,
        watch: Watcher,
    ) -> None:
        self._job, self._model, self._learner = job, model, learner
        self._events, self._watch = events, watch

    def after(self, step: int, stop_if_asked: Callable[[], None]) -> None:
        """Draw, if it is time; `stop_if_asked` is called at every step of drawing."""
        wanted = self._job.validation
        if wanted is None or step % wanted.every:
            return
        folder = self._job.folder / "validation" / f"step-{step:06}"
        paths = []
        with self._learner.resting():
            for number, (stem, prompt) in enumerate(wanted.prompts):
                self._watch.preparing(f"drawing after step {step}", number, len(wanted.prompts))
                [picture] = self._model.generate(
                    [prompt], [self._job.settings.seed], steps=wanted.steps,
                    guidance_scale=wanted.guidance, size=self._job.settings.size,
                    on_step=stop_if_asked)
                path = folder / f"{stem}.png"
                save_png(picture, path, {"prompt": prompt})
                paths.append(path)
        self._events.pictures(step, paths)
        self._watch.validated(step, paths)
