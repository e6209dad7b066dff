"""`jstyleid generate`: text to image."""

from pathlib import Path
from typing import Annotated

import typer

from jstyleid_runner import options
from jstyleid_runner.failures import temporary_report


def generate(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What to draw.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write, a .png file.")],
    negative: Annotated[str, typer.Option("--negative", help="What to avoid.")] = "",
    steps: Annotated[int, typer.Option("--steps", min=1, max=1000, help="DDIM steps.")] = 25,
    guidance: options.GuidanceOption = 7.5,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="The same seed draws the same picture.")
    ] = 0,
    size: options.SizeOption = "512",
    lora: Annotated[
        list[str] | None,
        typer.Option(
            "--lora", metavar="FILE[:WEIGHT]",
            help="A LoRA file of diffusers, PEFT or kohya; weight 1 unless given. Repeatable.",
        ),
    ] = None,
    model: options.ModelOption = None,
    dtype: options.DtypeOption = "auto",
    device: options.DeviceOption = "auto",
) -> None:
    """Draw a picture from a text. Its settings are recorded in the file."""
    from jstyleid_core import runtime
    from jstyleid_core.images import save_png
    from jstyleid_runner.core_model import load_model, named_source, shown_source
    from jstyleid_runner.facts import as_text
    from jstyleid_runner.named_loras import attach, read_loras
    from jstyleid_runner.plan import guidance_evaluations
    from jstyleid_runner.progress import make_reporter
    from jstyleid_runner.sizes import parse_size
    from jstyleid_runner.targets import picture_target, require_writable

    pixels = parse_size(size)
    target = picture_target(out, prompt)
    require_writable(target.parent)
    loras = read_loras(lora or [])
    source = named_source(model)
    with temporary_report() as report:
        runtime.redirect_native_output(report)
        reporter = make_reporter()
        try:
            loaded = load_model(source, dtype, device, reporter)
            loaded.check_size(pixels)
            attach(loaded, loras)
            evaluations = steps * guidance_evaluations(guidance)
            reporter.begin(1, 0, evaluations)
            reporter.stage(prompt, steps, evaluations)
            [picture] = loaded.generate(
                [prompt],
                [seed],
                steps=steps,
                guidance_scale=guidance,
                negative_prompt=negative,
                size=pixels,
                on_step=reporter.step,
            )
            facts = {
                "kind": "generated",
                "model": shown_source(source),
                "prompt": prompt,
                "negative": negative,
                "seed": seed,
                "steps": steps,
                "guidance": guidance,
                "size": list(pixels),
                "dtype": dtype,
            }
            if loras:
                facts["loras"] = [each.facts() for each in loras]
            save_png(picture, target, text=as_text(facts))
            reporter.finished(target)
        finally:
            reporter.close()
    print(target)
