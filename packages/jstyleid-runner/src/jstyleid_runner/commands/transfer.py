"""`jstyleid transfer`: give a picture the look of others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jstyleid_runner.options.common import ModelOptions, SizeOption, given_path
from jstyleid_runner.options.presets import TransferPreset, with_preset
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
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            "--sweep",
            metavar="OPTION=VALUE,VALUE,…",
            help="Make a picture with each value of an option, as gamma=0.3,0.5, and one sheet of "
            "all. Repeatable for combinations.",
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

    preset: Annotated[
        TransferPreset,
        typer.Option("--preset", help="What options left out take their values from: paper, "
                     "reference (the defaults) or strong."),
    ] = "reference"


@with_options
def transfer(
    content: Annotated[
        Path, typer.Argument(metavar="CONTENT", help="The picture whose layout is kept.")
    ],
    styles: Annotated[
        list[Path], typer.Argument(metavar="STYLE", help="Pictures whose look is taken.")
    ],
    options: TransferOptions,
    context: typer.Context,
) -> None:
    """Give CONTENT the look of each STYLE. Pictures are scaled and cropped to the size asked for.

    The settings are recorded in each picture that is written.
    """
    from jstyleid_core.errors import InputError
    from jstyleid_runner.options.swept import combine, folder_name, parse_grid, with_values
    from jstyleid_runner.options.to_settings import parse_size, styleid_settings
    from jstyleid_runner.planning.limits import Wanted
    from jstyleid_runner.storage.layout import is_folder
    from jstyleid_runner.worker.engine import load_model
    from jstyleid_runner.workflows.model import source_of
    from jstyleid_runner.workflows.session import command_session
    from jstyleid_runner.workflows.transfer import TransferJob, run_transfers, write_values_sheet

    options = with_preset(context, options, options.preset)
    combinations = combine(parse_grid(context, "transfer", options.sweep or ()))
    if options.sweep and (options.save_style or not is_folder(options.out)):
        raise InputError("--sweep makes several pictures: --out must be a folder, and no style is "
                         "saved.", fields=["sweep", "out", "save_style"])
    source = source_of(options)
    jobs = []
    for values in combinations:
        changed = with_values(context, "transfer", options, values)
        jobs.append(TransferJob.create(
            content=content,
            styles=styles,
            out=changed.out,
            size=parse_size(changed.size),
            together=changed.together,
            mask=changed.mask,
            suffix=f"-{folder_name(values)}" if values else "",
            settings=styleid_settings(changed, changed.seed),
            save_style=changed.save_style,
            load_style=changed.load_style,
            source=source,
            recorded={"model": source.name, **source.others, "dtype": changed.dtype,
                      "backend": changed.backend, "seed": changed.seed},
        ))
    with command_session() as display:
        loaded = load_model(source, [Wanted(job.size, styleid=job.settings) for job in jobs],
                            options.dtype, options.device, display.preparing, options.backend)
        loaded.drop_text_encoder()
        written = run_transfers(jobs, loaded, display)
    if options.sweep:
        labels = [", ".join(f"{name} {value}" for name, value in values.items())
                  for values in combinations]
        written.append(write_values_sheet(jobs, labels, options.out))
    for path in written:
        print(path)
