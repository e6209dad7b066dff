"""CUDA toolkits as they come: one folder, Debian's packages, NVIDIA's wheels; stand-in files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cuda_toolkit import NEW, compiler, cudnn, files, toolkit_in_one_folder
from jstyleid_core.runtime import toolkit
from jstyleid_core.runtime.requirements import RuntimeSetupError


@pytest.fixture(autouse=True)
def no_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides the toolkits of this machine."""
    monkeypatch.setattr(toolkit, "_SYSTEM_INCLUDE", tmp_path / "none")
    monkeypatch.setattr(toolkit, "_SYSTEM_LIBRARIES", tmp_path / "none")
    monkeypatch.setattr(toolkit, "_PLACES", ())
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    monkeypatch.delenv("nvcc_path", raising=False)


def test_one_folder(tmp_path: Path) -> None:
    nvcc = compiler(tmp_path / "cuda")
    files(tmp_path / "cuda" / "include", tmp_path / "cuda" / "lib64")
    cudnn(tmp_path / "cuda" / "include", tmp_path / "cuda" / "lib64")
    kit = toolkit.prepare(nvcc, [90], tmp_path / "cache")
    assert (kit.version, kit.cudnn) == ((13, 0), (9, 13, 1))
    libraries = kit.folder / "lib64"
    assert (libraries / "libcublas.so").resolve() == tmp_path / "cuda" / "lib64" / "libcublas.so.13"
    # Jittor loads these parts of cuDNN 8 by name.
    for part in ("ops_infer", "ops_train", "cnn_infer", "cnn_train"):
        assert (libraries / f"libcudnn_{part}.so").resolve().name == "libcudnn.so.9"
    assert (kit.folder / "include" / "npp.h").is_file()
    assert "cuda13.h" in kit.environment["cc_flags"]
    assert "cudnn9.h" in kit.environment["cc_flags"]
    assert kit.environment["use_cutt"] == kit.environment["use_cutlass"] == "0"
    assert toolkit.prepare(nvcc, [90], tmp_path / "cache").folder == kit.folder


def test_nothing_is_adapted_that_jittor_knows(tmp_path: Path) -> None:
    nvcc = compiler(tmp_path / "cuda", "12.4", (75, 80, 86, 89, 90))
    files(tmp_path / "cuda" / "include", tmp_path / "cuda" / "lib64")
    cudnn(tmp_path / "cuda" / "include", tmp_path / "cuda" / "lib64", (8, 9, 7))
    (tmp_path / "cuda" / "include" / "npp.h").write_text("NVIDIA's")
    kit = toolkit.prepare(nvcc, [86], tmp_path / "cache")
    assert "-include" not in kit.environment["cc_flags"]
    assert (kit.folder / "include" / "npp.h").read_text() == "NVIDIA's"
    assert not (kit.folder / "lib64" / "libcudnn_ops_train.so").exists()


def test_a_compiler_newer_than_the_toolkit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvcc = toolkit_in_one_folder(tmp_path / "cuda", "11.8")
    says = tmp_path / "cuda" / "include" / "crt" / "host_config.h"
    says.parent.mkdir()
    says.write_text("#if __GNUC__ > 11\n#error -- unsupported GNU version!\n#endif\n")
    host = tmp_path / "g++"
    monkeypatch.setenv("cc_path", str(host))
    for number, refused in (("12.2.0", True), ("12", True), ("11.4.0", False), ("9", False)):
        host.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "g++ (GCC)" || '
                        f"echo {number}\n")
        host.chmod(0o755)
        if refused:
            with pytest.raises(RuntimeSetupError, match=r"CUDA 11\.8 .* g\+\+ up to version 11; .* "
                                                        f"is {number}"):
                toolkit.prepare(nvcc, [90], tmp_path / "cache")
        else:
            assert toolkit.prepare(nvcc, [90], tmp_path / "cache").version == (11, 8)


def test_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    compiler(site / "nvidia" / "cu13")
    files(site / "nvidia" / "cu13" / "include", site / "nvidia" / "cu13" / "lib")
    cudnn(site / "nvidia" / "cudnn" / "include", site / "nvidia" / "cudnn" / "lib")
    monkeypatch.setattr(sys, "path", [str(site)])
    nvcc = toolkit.find_nvcc(tmp_path / "home")
    assert nvcc == site / "nvidia" / "cu13" / "bin" / "nvcc"
    kit = toolkit.prepare(nvcc, [120], tmp_path / "cache")
    assert (kit.folder / "lib64" / "libcudnn.so.9").exists()
    assert "code=sm_120" in kit.environment["NVCC_APPEND_FLAGS"]


def test_wheels_of_another_version_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    files(site / "nvidia" / "cu13" / "include", site / "nvidia" / "cu13" / "lib")
    monkeypatch.setattr(sys, "path", [str(site)])
    nvcc = compiler(tmp_path / "cuda", "12.4", (75, 90))
    cudnn(tmp_path / "cuda" / "include", tmp_path / "cuda" / "lib64")
    missing = r"cublas\.h or libcublas\.so.*jstyleid-core\[cuda\]"
    with pytest.raises(RuntimeSetupError, match=missing):
        toolkit.prepare(nvcc, [90], tmp_path / "cache")


def test_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`nvcc_path`, PATH, wheels, Jittor's own."""
    home, site = tmp_path / "home", tmp_path / "site"
    own = compiler(home / ".cache" / "jittor" / "jtcuda" / "cuda12.2_cudnn8_linux")
    assert toolkit.find_nvcc(home) == own
    wheel = compiler(site / "nvidia" / "cu13")
    monkeypatch.setattr(sys, "path", [str(site)])
    assert toolkit.find_nvcc(home) == wheel
    on_path = compiler(tmp_path / "cuda")
    monkeypatch.setenv("PATH", f"{on_path.parent}:/bin:/usr/bin")
    assert toolkit.find_nvcc(home) == on_path
    named = compiler(tmp_path / "named")
    monkeypatch.setenv("nvcc_path", str(named))
    assert toolkit.find_nvcc(home) == named


@pytest.mark.parametrize(
    ("cards", "codes", "flags"),
    [
        ([75], NEW, "-gencode=arch=compute_75,code=sm_75 -gencode=arch=compute_75,code=compute_75"),
        ([80, 90], NEW, "-gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90,code=sm_90 "
                        "-gencode=arch=compute_90,code=compute_90"),
        # A card that is newer than the toolkit gets code that the driver translates.
        ([120], (75, 80, 90), "-gencode=arch=compute_90,code=compute_90"),
        ([90, 120], (75, 80, 90),
         "-gencode=arch=compute_90,code=sm_90 -gencode=arch=compute_90,code=compute_90"),
    ],
)
def test_code_for_cards(
    cards: list[int], codes: tuple[int, ...], flags: str, tmp_path: Path
) -> None:
    nvcc = compiler(tmp_path / "cuda", codes=codes)
    assert toolkit.code_flags(nvcc, cards) == flags
    made = toolkit.kernel_flags("-O2 -arch=compute_75  -code=sm_75 ", nvcc, cards)
    assert "-arch=" not in made
    assert flags in made
    assert "-O2" in made


def test_old_cards_and_toolkits_are_refused(tmp_path: Path) -> None:
    nvcc = compiler(tmp_path / "cuda")
    with pytest.raises(RuntimeSetupError, match=r"capability 7\.0.*need 7\.5"):
        toolkit.prepare(nvcc, [90, 70], tmp_path / "cache")
    with pytest.raises(RuntimeSetupError, match=r"is 11\.2; 11\.8 and later"):
        toolkit.prepare(compiler(tmp_path / "old", "11.2"), [80], tmp_path / "cache")


def test_headers_of_two_places_are_merged(tmp_path: Path) -> None:
    """CUDA 12's wheels and packages divide `include/cub` and the like between folders."""
    nvcc = compiler(tmp_path / "cuda")
    include, targets = tmp_path / "cuda" / "include", tmp_path / "cuda" / "targets" / "x86_64-linux"
    files(include, tmp_path / "cuda" / "lib64")
    cudnn(targets / "include", targets / "lib")
    for folder, name in ((include, "first.h"), (targets / "include", "second.h")):
        (folder / "cub").mkdir()
        (folder / "cub" / name).touch()
        (folder / "cub" / "both.h").write_text(str(folder))
    kit = toolkit.prepare(nvcc, [90], tmp_path / "cache")
    merged = kit.folder / "include" / "cub"
    assert {entry.name for entry in merged.iterdir()} == {"first.h", "second.h", "both.h"}
    assert (merged / "both.h").read_text() == str(include)
    assert {entry.name for entry in (include / "cub").iterdir()} == {"first.h", "both.h"}
