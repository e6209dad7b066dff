"""`jstyleid run`: stylise every prompt of a split."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from jstyleid_core.errors import InputError, JStyleIDError
from jstyleid_runner import options
from jstyleid_runner.failures import EXIT_STOPPED, crashes_reported_in

if TYPE_CHECKING:
    from jstyleid_runner.execute import Tally


def run(
    split: Annotated[str, typer.Option("--split", help="Name of the split, a folder in --data.")],
    data: Annotated[Path, typer.Option("--data", help="Folder that holds the splits.")] = Path(
        "data"
    ),
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")] = Path(
        "out"
    ),
    method: Annotated[
        Literal["styleid", "dreambooth", "styleid-dreambooth"],
        typer.Option("--method", help="styleid; the others come with DreamBooth training."),
    ] = "styleid",
    styles: Annotated[
        str | None, typer.Option("--styles", help="Only these styles, as 00,04.")
    ] = None,
    prompts: Annotated[
        int | None,
        typer.Option("--prompts", min=1, help="Only the first N prompts of each style."),
    ] = None,
    reference: Annotated[
        str,
        typer.Option("--reference", help="Which sample image: first, random or a file's name."),
    ] = "first",
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of the contents and of a random reference.")
    ] = 0,
    size: options.SizeOption = "512",
    content_steps: Annotated[
        int, typer.Option("--content-steps", help="Steps of the content's text to image.")
    ] = 25,
    guidance: options.GuidanceOption = 7.5,
    batch: Annotated[
        int, typer.Option("--batch", min=1, help="Pictures computed together, if memory allows.")
    ] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Replace pictures made with other settings.")
    ] = False,
    steps: options.StepsOption = 20,
    gamma: options.GammaOption = 0.75,
    temperature: options.TemperatureOption = 1.5,
    layers: options.LayersOption = "7-11",
    adain: options.AdainOption = True,
    injection: options.InjectionOption = True,
    model: options.ModelOption = None,
    dtype: options.DtypeOption = "auto",
    device: options.DeviceOption = "auto",
    gpus: Annotated[
        int | None,
        typer.Option("--gpus", min=0, help="GPUs to use. One process for now: 0 or 1."),
    ] = None,
) -> None:
    """Stylise every prompt of a split: OUT/NN/PROMPT.png for each style NN.

    The content of each picture is drawn from its prompt, then given the look of one of the style's
    sample images. Pictures that are there already are kept; run the same command again after a
    stop. Everything else (log, contents, contact sheets, settings) is in OUT/.jstyleid.
    """
    from jstyleid_core import runtime
    from jstyleid_runner.core_model import CoreModel, named_source
    from jstyleid_runner.devices import choose_device
    from jstyleid_runner.execute import Tally
    from jstyleid_runner.folder_lock import folder_lock
    from jstyleid_runner.method_settings import method_settings
    from jstyleid_runner.out_folder import OutFolder
    from jstyleid_runner.plan import build_plan
    from jstyleid_runner.progress import make_reporter
    from jstyleid_runner.run_split import RunRequest, run_split
    from jstyleid_runner.runlog import log_to
    from jstyleid_runner.settings import RunSettings
    from jstyleid_runner.sizes import parse_size
    from jstyleid_runner.split import read_split

    chosen_device = choose_device(device, gpus)
    settings = RunSettings.create(
        split=split,
        method=method,
        seed=seed,
        size=parse_size(size),
        reference=reference,
        content_steps=content_steps,
        guidance=guidance,
        # Resolved now: pictures of both precisions in one folder would not be the same run.
        dtype=runtime.default_dtype(chosen_device) if dtype == "auto" else dtype,
        styleid=method_settings(
            steps=steps,
            gamma=gamma,
            temperature=temperature,
            layers=layers,
            adain=adain,
            injection=injection,
        ),
    )
    plan = build_plan(read_split(data, split, _named(styles)), settings, prompts)
    folder = OutFolder(out)
    folder.prepare()
    tally = Tally(plan.pictures)
    with folder_lock(folder.lock), log_to(folder.log), crashes_reported_in(folder.log):
        runtime.redirect_native_output(folder.native_log)
        reporter = make_reporter()
        source = CoreModel(named_source(model), chosen_device, reporter)
        request = RunRequest(plan, settings, folder, batch, force)
        try:
            run_split(request, source, reporter, tally)
        except KeyboardInterrupt:
            reporter.close()
            _say_how_far(tally, "stopped")
            raise typer.Exit(EXIT_STOPPED) from None
        except JStyleIDError:
            reporter.close()
            if tally.done:
                _say_how_far(tally, "interrupted")
            raise
        finally:
            reporter.close()
    print(f"{tally.done} of {tally.pictures} pictures are in {out}")


def _say_how_far(tally: "Tally", what: str) -> None:
    print(
        f"{what}; {tally.done} of {tally.pictures} done; run the same command to continue",
        file=sys.stderr,
    )


def _named(styles: str | None) -> list[str] | None:
    """The folders named in `--styles`."""
    if styles is None:
        return None
    names = [style.strip() for style in styles.split(",") if style.strip()]
    if not names:
        raise InputError(f"--styles {styles}: names no style. Give folder names, as 00,04.")
    return names
