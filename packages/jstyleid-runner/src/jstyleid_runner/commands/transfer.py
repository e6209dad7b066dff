"""`jstyleid transfer`: give a picture the look of others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jstyleid_runner.options.common import ModelOptions, SizeOption, given_path
from jstyleid_runner.options.sources import with_options
from jstyleid_runner.options.styleid import StyleIDOptions


@dataclass(frozen=True, kw_only=True)
class _FileOptions:
    """The files that are read and written."""

    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            parser=given_path,
            metavar="<path>",
            help="The picture to write; for several styles a folder, which also gets a contact "
            "sheet.",
        ),
    ]
    size: SizeOption = "512"
    together: Annotated[
        bool,
        typer.Option("--together", help="Take the look of all STYLEs at once, in one picture."),
    ] = False
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            help="Picture as large as CONTENT, or of its aspect: white takes the style, black "
            "keeps the content.",
        ),
    ] = None
    save_style: Annotated[
        Path | None,
        typer.Option("--save-style", help="Keep the inverted style in this .safetensors file."),
    ] = None
    load_style: Annotated[
        Path | None,
        typer.Option("--load-style", help="Take the inverted style from such a file."),
    ] = None
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            min=0,
            help="Seed of --inversion noised and --start-latents frequency; otherwise the result "
            "is the same with every seed.",
        ),
    ] = 0


@dataclass(frozen=True, kw_only=True)
class TransferOptions(ModelOptions, StyleIDOptions, _FileOptions):
    """All options of the command."""


@with_options
def transfer(
    content: Annotated[
        Path, typer.Argument(metavar="CONTENT", help="The picture whose layout is kept.")
    ],
    styles: Annotated[
        list[Path], typer.Argument(metavar="STYLE", help="Pictures whose look is taken.")
    ],
    options: TransferOptions,
) -> None:
    """Give CONTENT the look of each STYLE. Pictures are scaled and cropped to the size asked for.

    The settings are recorded in each picture that is written.
    """
    from jstyleid_runner.options.to_settings import parse_size, styleid_settings
    from jstyleid_runner.worker.engine import load_model
    from jstyleid_runner.workflows.model import source_of
    from jstyleid_runner.workflows.session import command_session
    from jstyleid_runner.workflows.transfer import TransferJob, run_transfer

    settings = styleid_settings(options, options.seed)
    source = source_of(options)
    job = TransferJob.create(
        content=content,
        styles=styles,
        out=options.out,
        size=parse_size(options.size),
        together=options.together,
        mask=options.mask,
        settings=settings,
        save_style=options.save_style,
        load_style=options.load_style,
        source=source,
        recorded={"model": source.name, **source.others, "dtype": options.dtype,
                  "backend": options.backend, "seed": options.seed},
    )
    with command_session() as display:
        loaded = load_model(source, job.size, options.dtype, options.device, display.preparing,
                            options.backend)
        loaded.drop_text_encoder()
        written = run_transfer(job, loaded, display)
    for path in written:
        print(path)
