"""What holds before there is any score: the package installs alone and brings no Jittor."""

import importlib.metadata
import importlib.util

import jdiff_checker


def test_version_is_the_installed_one() -> None:
    assert importlib.metadata.version("jdiff-checker") == jdiff_checker.__version__


def test_no_jittor_in_the_checker_environment() -> None:
    assert importlib.util.find_spec("jittor") is None
    assert importlib.util.find_spec("jstyleid_core") is None
