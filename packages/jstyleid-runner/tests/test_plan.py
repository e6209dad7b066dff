"""The plan: pure, deterministic, and right about the work ahead."""

from pathlib import Path

import pytest

from jstyleid_core.errors import InputError
from jstyleid_runner.planning.jobs import GenerateImage, InvertStyle, TransferStyle
from jstyleid_runner.planning.plan import build_plan, content_seed
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.split import Split, StyleFolder


def split(*styles: str, references: int = 3) -> Split:
    images = tuple(Path(f"images/{number}.png") for number in range(references))
    return Split("S", tuple(StyleFolder(id, images, ("Ring", "Hotel")) for id in styles))


def settings(**changes: object) -> RunSettings:
    values: dict[str, object] = {
        "split": "S",
        "method": "styleid",
        "content_steps": 25,
        "reference": "first",
        "styleid": {"steps": 20},
    }
    return RunSettings.create(**(values | changes))


def test_the_same_input_gives_the_same_plan() -> None:
    first = build_plan(split("00", "04"), settings(seed=3, reference="random"))
    assert first == build_plan(split("00", "04"), settings(seed=3, reference="random"))


def test_a_style_is_planned_alike_whatever_else_is_in_the_run() -> None:
    both = build_plan(split("00", "04"), settings(reference="random"))
    alone = build_plan(split("04"), settings(reference="random"))
    fewer = build_plan(split("04"), settings(reference="random"), prompts=1)
    assert both.styles[1] == alone.styles[0]
    assert fewer.styles[0].images == alone.styles[0].images[:1]


def test_evaluations() -> None:
    plan = build_plan(split("00", "04"), settings())
    for job in plan.jobs:
        if isinstance(job, GenerateImage):
            assert job.evaluations == 2 * 25
        elif isinstance(job, InvertStyle):
            assert job.evaluations == 20
        else:
            assert job.evaluations == 20 + 20
    assert plan.pictures == 4
    assert plan.evaluations == 2 * 20 + 4 * (50 + 40)


def test_without_guidance_the_unet_is_evaluated_once_a_step() -> None:
    plan = build_plan(split("00"), settings(guidance=1))
    assert [content.evaluations for content in plan.styles[0].images] == [25, 25]


def test_no_job_comes_before_what_it_needs() -> None:
    done: set[str] = set()
    jobs = list(build_plan(split("00", "04"), settings()).jobs)
    for job in jobs:
        assert set(job.needs) <= done
        done.add(job.id)
    assert len(done) == len(jobs)
    pictures = [job for job in jobs if isinstance(job, TransferStyle)]
    assert pictures[0].needs == ("content/00/Ring", "style/00")


def test_prompts_limits_each_style() -> None:
    assert build_plan(split("00", "04"), settings(), prompts=1).pictures == 2
    assert build_plan(split("00", "04"), settings(), prompts=99).pictures == 4


def test_seeds_are_fixed_for_ever() -> None:
    # Pictures are made again from these: another value would be another picture.
    assert content_seed(0, "00", "Ring") == 2569917727
    assert content_seed(0, "00", "Käse") == 1497882751


def test_seeds_differ_by_run_style_and_prompt() -> None:
    seeds = {
        content_seed(run, style, prompt)
        for run in range(10)
        for style in ("00", "0", "04")
        for prompt in ("Ring", "0Ring", "Hotel")
    }
    assert len(seeds) == 90
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_reference_first_random_and_by_name() -> None:
    styles = [f"{number:02}" for number in range(40)]

    def chosen(**changes: object) -> list[str]:
        plan = build_plan(split(*styles), settings(**changes))
        return [path.name for style in plan.styles for path in style.references]

    assert set(chosen(reference="first")) == {"0.png"}
    assert set(chosen(reference="2.png")) == {"2.png"}
    assert set(chosen(reference="1")) == {"1.png"}
    assert set(chosen(reference="random")) == {"0.png", "1.png", "2.png"}
    assert chosen(reference="random", seed=1) != chosen(reference="random", seed=2)


@pytest.mark.parametrize(("choice", "names"), [
    ("all", ["0.png", "1.png", "2.png"]), ("3", ["0.png", "1.png", "2.png"]),
    ("2.png, 0", ["2.png", "0.png"]), ("1,1.png", ["1.png"]),
    ("1", ["1.png"]),  # a file's name comes before a number
])
def test_several_references(choice: str, names: list[str]) -> None:
    plan = build_plan(split("00"), settings(reference=choice))
    assert [path.name for path in plan.styles[0].references] == names
    assert plan.styles[0].invert
    assert plan.styles[0].invert.evaluations == 20 * len(names)
    assert [transfer.evaluations for transfer in plan.styles[0].transfers] == [40, 40]


@pytest.mark.parametrize("choice", ["4", "-1", "0.png,x", "", "99999999999999999999"])
def test_references_that_are_not_there(choice: str) -> None:
    with pytest.raises(InputError, match=f"--reference {choice}: .* a number from 1 to 3"):
        build_plan(split("00"), settings(reference=choice))


def test_a_fixed_point_inversion_costs_more() -> None:
    made = {"steps": 10, "inversion": "fixed-point:3"}
    plan = build_plan(split("00"), settings(reference="all", styleid=made))
    assert plan.styles[0].invert
    assert plan.styles[0].invert.evaluations == 3 * 30
    assert [(each.steps, each.evaluations) for each in plan.styles[0].transfers] == [(20, 40)] * 2


def test_an_unknown_reference_lists_those_there_are() -> None:
    with pytest.raises(InputError, match=r"--reference x\.png: style 00 has no such image.*0\.png"):
        build_plan(split("00"), settings(reference="x.png"))


TRAINING = {"steps": 10, "batch": 2, "gradient_checkpointing": True}


def test_a_lora_is_trained_before_its_style_is_drawn() -> None:
    both = settings(method="styleid-dreambooth", training=TRAINING)
    plan = build_plan(split("00", "04"), both, objects=("ball", "ring"))
    assert [job.id for job in plan.styles[1].jobs] == [
        "lora/04",
        "style/04",
        "content/04/Ring",
        "content/04/Hotel",
        "picture/04/Ring",
        "picture/04/Hotel",
    ]
    train = plan.styles[1].train
    assert train
    assert (train.needs, train.objects) == ((), ("ball", "ring"))
    assert train.samples == plan.styles[1].samples
    # Two pictures a step, each forward, back, and forward once more.
    assert train.evaluations == 10 * 2 * 4
    assert [draw.needs for draw in plan.styles[1].images] == [("lora/04",)] * 2
    assert plan.evaluations == 2 * 80 + 2 * 20 + 4 * (50 + 40)
    assert plan == build_plan(split("00", "04"), both, objects=("ball", "ring"))


def test_what_dreambooth_draws_is_the_result() -> None:
    drawing = settings(method="dreambooth", training=TRAINING, styleid=None, reference=None)
    plan = build_plan(split("00"), drawing)
    assert [job.id for job in plan.jobs] == ["lora/00", "picture/00/Ring", "picture/00/Hotel"]
    assert plan.pictures == 2
    assert plan.evaluations == 80 + 2 * 50


def test_a_given_lora_is_not_trained() -> None:
    given = {"00": Path("a.bin"), "04": Path("b.bin")}
    plan = build_plan(split("00", "04"), settings(method="styleid-dreambooth"), loras=given)
    assert plan.styles[1].train is None
    assert [draw.lora for draw in plan.styles[1].images] == [Path("b.bin")] * 2
    assert [draw.needs for draw in plan.styles[1].images] == [()] * 2


def test_contents_start_from_noise_or_from_the_samples() -> None:
    [style] = build_plan(split("00"), settings()).styles
    assert (style.images[0].start, style.images[0].steps) == ((), 25)
    [style] = build_plan(split("00"), settings(start="mean", strength=0.9)).styles
    assert style.images[0].start == style.samples
    assert (style.images[0].steps, style.images[0].evaluations) == (22, 44)


def test_texts_come_from_the_templates() -> None:
    words = settings(template="{prompt} in {style}", templates={"04": "a {prompt}"})
    plan = build_plan(split("00", "04"), words)
    assert [style.images[0].text for style in plan.styles] == ["Ring in 00", "a Ring"]
    assert [style.images[0].prompt for style in plan.styles] == ["Ring", "Ring"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, "--seed -1: "),
        ({"content_steps": 0}, "--content-steps 0: "),
        ({"guidance": float("nan")}, "--guidance nan: "),
    ],
)
def test_settings_out_of_range(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        settings(**changes)
