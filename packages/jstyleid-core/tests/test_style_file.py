"""The file of a style is read only where it is what the model would record; without Jittor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save_file

from fuzz.readers.styles import expected, style
from jstyleid_core.errors import InputError
from jstyleid_core.styleid.style_file import read_style


def written(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A style's file of an older version, without a digest, with other tensors."""
    tensors = load(style(digest=False))
    change(tensors)
    save_file(tensors, path, metadata=expected().header("a" * 64))
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    for number, data in enumerate((style(), style(digest=False))):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(data)
        tensors, image = read_style(path, expected())
        assert image == "a" * 64
        assert len(tensors) == 2 + 2 * 2 * 2


@pytest.mark.parametrize(("change", "said"), [
    (lambda t: t.pop("501.5.key"), "it lacks 501.5.key and 0 more"),
    (lambda t: t.pop("latents"), "it lacks latents and 0 more"),
    (lambda t: t.update({"1.3.key": t["1.3.key"][:, :2]}), r"1\.3\.key .* should be \[1, 8, 4\]"),
    (lambda t: t.update(latents=t["latents"][0]), "are no latents of this model"),
    (lambda t: t.update(latents=t["latents"] * np.float32("nan")), "no finite number"),
    (lambda t: t.update(latents=np.zeros((1, 4, 4, 2), np.int32)), "no finite number"),
])
def test_a_file_that_is_not_what_would_be_recorded(
    change: Callable[[dict[str, Any]], object], said: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.safetensors", change)
    with pytest.raises(InputError, match=said) as caught:
        read_style(path, expected())
    assert str(caught.value).startswith(f"{path} is not a whole style file (")
