"""`jstyleid transfer`: give a picture the look of others."""

from pathlib import Path
from typing import Annotated

import typer

from jstyleid_runner.errors import temporary_report
from jstyleid_runner.options import common as options


def transfer(
    content: Annotated[
        Path, typer.Argument(metavar="CONTENT", help="The picture whose layout is kept.")
    ],
    styles: Annotated[
        list[Path], typer.Argument(metavar="STYLE", help="Pictures whose look is taken.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The picture to write; for several styles a folder, which also gets a contact "
            "sheet.",
        ),
    ],
    size: options.SizeOption = "512",
    save_style: Annotated[
        Path | None,
        typer.Option("--save-style", help="Keep the inverted style in this .safetensors file."),
    ] = None,
    load_style: Annotated[
        Path | None,
        typer.Option("--load-style", help="Take the inverted style from such a file."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            min=0,
            help="Recorded in the picture. StyleID draws no random numbers: the result is the same "
            "with every seed.",
        ),
    ] = 0,
    steps: options.StepsOption = 20,
    gamma: options.GammaOption = 0.75,
    temperature: options.TemperatureOption = 1.5,
    layers: options.LayersOption = "7-11",
    adain: options.AdainOption = True,
    injection: options.InjectionOption = True,
    model: options.ModelOption = None,
    dtype: options.DtypeOption = "auto",
    device: options.DeviceOption = "auto",
    backend: options.BackendOption = "native",
) -> None:
    """Give CONTENT the look of each STYLE. Pictures are scaled and cropped to the size asked for.

    The settings are recorded in each picture that is written.
    """
    from jstyleid_core import runtime
    from jstyleid_core.weights.layout import shown_source
    from jstyleid_runner.options.to_settings import method_settings, parse_size
    from jstyleid_runner.reports.progress import make_reporter
    from jstyleid_runner.worker.engine import load_model, named_source
    from jstyleid_runner.workflows.transfer import TransferJob, run_transfer

    settings = method_settings(
        steps=steps,
        gamma=gamma,
        temperature=temperature,
        layers=layers,
        adain=adain,
        injection=injection,
    )
    source = named_source(model)
    job = TransferJob.create(
        content=content,
        styles=styles,
        out=out,
        size=parse_size(size),
        settings=settings,
        save_style=save_style,
        load_style=load_style,
        recorded={"model": shown_source(source), "dtype": dtype, "backend": backend,
                  "seed": seed},
    )
    with temporary_report() as report:
        runtime.redirect_native_output(report)
        reporter = make_reporter()
        try:
            loaded = load_model(source, dtype, device, reporter.preparing, backend)
            loaded.check_size(job.size)
            written = run_transfer(job, loaded, reporter)
        finally:
            reporter.close()
    for path in written:
        print(path)
