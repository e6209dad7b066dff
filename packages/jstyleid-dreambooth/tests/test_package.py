"""What holds before there is any training: the package installs beside Jittor, without torch."""

import importlib.metadata
import importlib.util


def test_depends_on_the_core_alone() -> None:
    assert importlib.metadata.requires("jstyleid-dreambooth") == ["jstyleid-core==0.1.0"]


def test_no_torch_in_the_jittor_environment() -> None:
    assert importlib.util.find_spec("torch") is None
