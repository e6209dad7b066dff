"""CUDA toolkits of stand-in files."""

from __future__ import annotations

from pathlib import Path

NEW = (75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121)  # what CUDA 13.0 makes code for
HEADERS = ("cuda_runtime.h", "cublas.h", "curand.h", "cufft.h", "cusparse.h")
LIBRARIES = {"cudart": 13, "cublas": 13, "cublasLt": 13, "curand": 10, "cufft": 12, "cusparse": 12}


def compiler(root: Path, version: str = "13.0", codes: tuple[int, ...] = NEW) -> Path:
    """A script that answers as nvcc does."""
    script = root / "bin" / "nvcc"
    script.parent.mkdir(parents=True)
    listed = "\n".join(f"echo sm_{code}" for code in codes)
    script.write_text(f"""#!/bin/sh
case "$*" in
--version) echo "Cuda compilation tools, release {version}, V{version}.1" ;;
--list-gpu-code) {listed} ;;
*--dryrun*) echo "#$ TOP={root}/bin/.." >&2 ;;
esac
""")
    script.chmod(0o755)
    return script


def files(include: Path, lib: Path) -> None:
    """Headers and libraries, without cuDNN."""
    for folder in (include, lib):
        folder.mkdir(parents=True, exist_ok=True)
    for header in HEADERS:
        (include / header).touch()
    for name, version in LIBRARIES.items():
        (lib / f"lib{name}.so.{version}").touch()


def cudnn(include: Path, lib: Path, version: tuple[int, int, int] = (9, 13, 1)) -> None:
    """Header and libraries of cuDNN."""
    include.mkdir(parents=True, exist_ok=True)
    lib.mkdir(parents=True, exist_ok=True)
    (include / "cudnn.h").touch()
    names = zip(("MAJOR", "MINOR", "PATCHLEVEL"), version, strict=True)
    (include / "cudnn_version.h").write_text(
        "".join(f"#define CUDNN_{name} {number}\n" for name, number in names))
    parts = ["ops", "graph"] if version[0] >= 9 else ["ops_infer", "cnn_train"]
    for name in ("cudnn", *(f"cudnn_{part}" for part in parts)):
        (lib / f"lib{name}.so.{version[0]}").touch()


def toolkit_in_one_folder(root: Path, version: str = "12.4") -> Path:
    """A whole toolkit with cuDNN; returns the path of its compiler."""
    files(root / "include", root / "lib64")
    cudnn(root / "include", root / "lib64")
    codes = NEW if version.startswith("13") else (75, 80, 86, 87, 89, 90)
    return compiler(root, version, codes)
