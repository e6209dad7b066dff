"""`jstyleid run`: draw and stylise every prompt of a split."""

import typer

from jstyleid_runner.options.presets import with_preset
from jstyleid_runner.options.run import RunOptions
from jstyleid_runner.options.sources import with_options


@with_options
def run(context: typer.Context, options: RunOptions) -> None:
    """Make a picture of every prompt of a split: OUT/NN/PROMPT.png for each style NN.

    Each prompt is drawn with its style's LoRA, which is trained first, and then given the look of
    one of the style's sample images; --method leaves out either half. Pictures that are there
    already are kept; run the same command again after a stop. Everything else (log, LoRAs,
    contents, contact sheets, settings) is in OUT/.jstyleid.
    """
    from jstyleid_runner.options.to_settings import monitoring_of, refuse_unused
    from jstyleid_runner.workflows import run as workflow

    options = with_preset(context, options, options.preset)
    refuse_unused(context, options)
    workflow.run(options, monitoring_of(context, options))
