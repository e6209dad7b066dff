"""The model of the page: loaded for the first job, and kept until a job needs another one."""

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jstyleid_core.progress import OnPrediction
from jstyleid_runner.options.common import ModelOptions
from jstyleid_runner.planning.limits import Wanted
from jstyleid_runner.ui.jobs import JobDisplay
from jstyleid_runner.worker.engine import load_model
from jstyleid_runner.workflows.model import source_of

if TYPE_CHECKING:
    from jstyleid_core import StableDiffusion


class ModelSession:
    """The loaded model.

    Args:
        options: checkpoint and device as the command line named them.
        preview_every: steps from one preview to the next; 0 for none.
        load: loads a model, see `load_model`.
    """

    def __init__(
        self, options: ModelOptions, preview_every: int,
        load: "Callable[..., StableDiffusion]" = load_model,
    ) -> None:
        self._options, self._preview_every, self._load = options, preview_every, load
        self._key: Any = None
        self._model: StableDiffusion | None = None

    def options(self, model: str) -> ModelOptions:
        """The options with the checkpoint that the page names.

        Args:
            model: checkpoint; empty for the command line's.
        """
        if not model.strip() or model.strip() == self._options.model:
            return self._options
        # The other parts belong to the command line's checkpoint.
        return replace(self._options, model=model.strip(), vae=None, tokenizer=None,
                       prediction=None)

    def model(
        self, options: ModelOptions, wanted: Wanted, display: JobDisplay
    ) -> "StableDiffusion":
        """The model, loaded if it is not there yet.

        Raises:
            JStyleIDError: it cannot be loaded, or cannot compute this.
        """
        source = source_of(options)
        if self._model is None or self._key != source:
            self._key = self._model = None
            gc.collect()  # before the next one takes as much memory
            self._model = self._load(source, [wanted], options.dtype, options.device,
                                     display.preparing, options.backend)
            self._key = source
        else:
            wanted.check(self._model.checkpoint)
        return self._model

    def previews(self, model: "StableDiffusion", display: JobDisplay) -> OnPrediction | None:
        """A function that shows the predicted picture after each few steps."""
        if not self._preview_every:
            return None
        steps = 0

        def show(latents: Any) -> None:
            nonlocal steps
            steps += 1
            if steps % self._preview_every == 0:
                display.preview(model.decode(latents)[0])

        return show
