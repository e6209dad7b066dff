"""What all scripts of this folder share: what is measured, its inputs, and a part's result.

numpy and the standard library only: one side runs beside torch and the other beside Jittor, and
the values of one are the inputs of the comparison on the other.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

Device = Literal["cuda", "cpu"]
SizeName = Literal["tiny", "full"]
Values = dict[str, NDArray[Any]]
Result = dict[str, Any]

TIMESTEP = 501
BATCHES = (1, 4)
INVERSION_STEPS = 5
STYLEID_STEPS = 3
NO_HALF = "the CPU computes in float32 only"


@dataclass(frozen=True)
class Size:
    """How large the measured things are."""

    pictures: tuple[int, int]  # width and height in pixels, small and large
    repeats: int  # of each timed evaluation
    transfer_steps: int  # DDIM steps of StyleID, up and down
    training_steps: int
    run_steps: int  # DDIM steps of `jstyleid run`, of drawing and of StyleID


SIZES: dict[SizeName, Size] = {
    "full": Size((512, 768), 10, 20, 12, 10),
    "tiny": Size((64, 128), 3, 2, 3, 1),
}


def dtypes(device: Device) -> tuple[str, ...]:
    """The number formats that a device computes in; times are taken in the last."""
    return ("float32", "float16") if device == "cuda" else ("float32",)


@dataclass(frozen=True)
class Case:
    """One measurement: device, size, and the folders that its parts share."""

    size: SizeName
    device: Device
    model: Path  # a checkpoint in diffusers' layout
    work: Path  # for values, pictures and the run; large files

    @property
    def sizes(self) -> Size:
        """The numbers of this size."""
        return SIZES[self.size]

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The number formats that the device computes in."""
        return dtypes(self.device)

    @property
    def best(self) -> str:
        """The number format that times are taken in."""
        return self.dtypes[-1]

    @property
    def values(self) -> Path:
        """The safetensors file of the reference's inputs and outputs."""
        return self.work / "values.safetensors"

    def write(self, path: Path) -> None:
        """Write the case as JSON."""
        path.write_text(json.dumps({**asdict(self), "model": str(self.model),
                                    "work": str(self.work)}), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Case:
        """Read what `write` wrote."""
        given = json.loads(path.read_text(encoding="utf-8"))
        return cls(given["size"], given["device"], Path(given["model"]), Path(given["work"]))

    def inputs(self) -> Values:
        """The inputs of the networks, drawn from a seed.

        `latent.PIXELS` (4, 4, h, w), `context` (4, 77, C), `ids` (2, 77) int32, `picture` and
        `style` (P, P, 3) uint8.
        """
        rng = np.random.default_rng(0)
        unet = json.loads((self.model / "unet" / "config.json").read_text(encoding="utf-8"))
        text = json.loads((self.model / "text_encoder" / "config.json").read_text(encoding="utf-8"))
        batch = max(BATCHES)
        found: Values = {
            f"latent.{pixels}": rng.standard_normal((batch, 4, pixels // 8, pixels // 8),
                                                    dtype=np.float32)
            for pixels in self.sizes.pictures
        }
        found["context"] = rng.standard_normal((batch, 77, unet["cross_attention_dim"]),
                                               dtype=np.float32)
        found["ids"] = rng.integers(min(1000, text["vocab_size"]), size=(2, 77), dtype=np.int32)
        for name in ("picture", "style"):
            found[name] = picture(rng, self.sizes.pictures[0])
        return found


def picture(rng: np.random.Generator, pixels: int) -> NDArray[np.uint8]:
    """A random picture (pixels, pixels, 3) of a few waves a channel."""
    rows, columns = np.meshgrid(*[np.linspace(0, 1, pixels)] * 2, indexing="ij")
    channels = []
    for _ in range(3):
        down, across, phase = rng.uniform(0, 4, 3)
        wave = np.sin(2 * np.pi * (down * rows + across * columns + phase))
        channels.append(rng.uniform(96, 160) + 80 * wave)
    return np.stack(channels, axis=2).clip(0, 255).astype(np.uint8)


def median(values: list[float]) -> float:
    """The median, to six digits."""
    return float(f"{statistics.median(values):.6g}")


def main(parts: dict[str, Callable[[Case], Iterator[Result]]]) -> None:
    """Run the part named on the command line, `SCRIPT PART CASE RESULT`.

    A part yields its result so far, and what it has yielded last is kept if it fails later.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=parts)
    parser.add_argument("case", type=Path)
    parser.add_argument("result", type=Path)
    given = parser.parse_args()
    fresh = given.result.with_suffix(".part")
    for result in parts[cast(str, given.part)](Case.read(given.case)):
        fresh.write_text(json.dumps(result), encoding="utf-8")
        fresh.replace(given.result)
