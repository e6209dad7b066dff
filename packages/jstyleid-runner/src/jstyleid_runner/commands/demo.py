"""`jstyleid demo`: the whole way with the embedded model, offline."""

from pathlib import Path
from typing import Annotated

import typer

from jstyleid_runner.options import common as options


def demo(
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            parser=options.given_path,
            metavar="<path>",
            help="Folder for everything.",
        ),
    ] = Path("demo"),
    train_steps: Annotated[
        int, typer.Option("--train-steps", min=1, help="Optimizer steps of each LoRA.")
    ] = 180,
    device: options.DeviceOption = "auto",
    gpus: options.GpusOption = None,
    workers: options.WorkersOption = None,
) -> None:
    """Show the whole way in minutes, offline: LoRAs, drawings, stylised pictures, galleries.

    A small model comes with this package; it knows pictures that are drawn by programme. Six looks
    that it has never seen become the styles of a split in OUT/data/demo. The three methods of
    `jstyleid run` then make their pictures in OUT/dreambooth, OUT/styleid and
    OUT/styleid-dreambooth, and OUT/demo.png shows them side by side. Run it again after a stop.
    """
    from jstyleid_runner.options.common import WorkerOptions
    from jstyleid_runner.workflows.demo import run_demo

    run_demo(out, train_steps, WorkerOptions(device=device, gpus=gpus, workers=workers))
