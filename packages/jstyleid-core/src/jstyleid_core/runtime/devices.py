"""The choice between CPU and CUDA; without Jittor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.errors import setting
from jstyleid_core.runtime import toolkit
from jstyleid_core.runtime.choices import Device
from jstyleid_core.runtime.gpus import GPU, trouble, visible_gpus, why_none_is_visible
from jstyleid_core.runtime.requirements import RuntimeSetupError


@dataclass(frozen=True)
class Choice:
    """CPU (`nvcc` is None) or CUDA with its cards; `note` says why a card there is not used."""

    nvcc: str | None
    note: str | None = None
    cards: tuple[GPU, ...] = ()


def choose(device: Device, jittor_home: Path) -> Choice:
    """Choose the device that Jittor is started on.

    Raises:
        RuntimeSetupError: `cuda` is asked for and there is no card or no CUDA compiler.
    """
    if device == "cpu":
        return Choice(None)
    cards, nvcc = visible_gpus(), toolkit.find_nvcc(jittor_home)
    if cards and nvcc:
        return Choice(str(nvcc), cards=tuple(cards))
    if device == "cuda":
        if not cards:
            raise RuntimeSetupError(
                f"{setting('device')} cuda: no CUDA card is visible: {why_none_is_visible()}. "
                f"Use {setting('device')} cpu."
            )
        raise RuntimeSetupError(
            f"{setting('device')} cuda: no CUDA compiler (nvcc) is found. {toolkit.INSTALL}")
    if cards:
        return Choice(
            None, f"{cards[0].name} is not used: no CUDA compiler (nvcc). {toolkit.INSTALL}")
    why = trouble()
    return Choice(None, f"no card is used: {why}" if why else None)
