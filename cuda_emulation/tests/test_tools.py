"""The compiler's stand-in, the conversion of sources, nvidia-smi and the counters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jstyleid_core.runtime.gpus import visible_gpus
from jstyleid_core.runtime.toolkit import prepare
from kernel_source import SourceError, as_cpp, needs_change


def flat(source: str) -> str:
    return " ".join(as_cpp(source).split())


@pytest.mark.parametrize(("source", "wanted"), [
    ("k<<<1, n>>>();", '::cuda_on_cpu::launch("k", ::cuda_on_cpu::with_arguments('
     "[=](auto... a) { k(a...); }), 1, n);"),
    ("x::k<float, A<3>> <<< g, dim3(2, 3), 16 >>> (p, f(b));",
     '::cuda_on_cpu::launch("k", ::cuda_on_cpu::with_arguments('
     "[=](auto... a) { x::k<float, A<3>>(a...); }, p, f(b)), g, dim3(2, 3), 16 );"),
    ('k<<<1, 2>>>(")", 3);', '::cuda_on_cpu::launch("k", ::cuda_on_cpu::with_arguments('
     '[=](auto... a) { k(a...); }, ")", 3), 1, 2);'),
    ("// k<<<1, 2>>>(n)", "// k<<<1, 2>>>(n)"),
    ("if (a << b) c >>= 2;", "if (a << b) c >>= 2;"),
    ("extern __shared__ float4 s[];",
     "float4* const s = (float4*)::cuda_on_cpu::dynamic_shared();"),
    ("extern __shared__ __align__(16) unsigned char s[];",
     "unsigned char* const s = (unsigned char*)::cuda_on_cpu::dynamic_shared();"),
    ("extern __shared__ alignas(128) char s[];",
     "char* const s = (char*)::cuda_on_cpu::dynamic_shared();"),
    ("__shared__ alignas(16) float s[2];", "alignas(16) __shared__ float s[2];"),
    ("cudaFuncSetAttribute(f<1, 2>, cudaFuncAttributeMaxDynamicSharedMemorySize, n);",
     '::cuda_on_cpu::set_attribute("f", cudaFuncAttributeMaxDynamicSharedMemorySize, n);'),
])
def test_sources(source: str, wanted: str) -> None:
    assert flat(source).replace("16 );", "16 );") == wanted
    assert needs_change(source) == (source != wanted) or source.startswith("//")


@pytest.mark.parametrize("source", ["k<<<1, 2>>>;", " <<<1, 2>>>(a)", "k<<<1, 2>>>(a;"])
def test_sources_that_are_no_launches(source: str) -> None:
    with pytest.raises(SourceError):
        as_cpp(source)


def compile_kernel(toolkit: Path, folder: Path, source: str, **environment: str,
                   ) -> subprocess.CompletedProcess[str]:
    (folder / "kernel.cu").write_text(source)
    command = [str(toolkit / "bin" / "nvcc"), "-x", "cu", "-shared", "-Xcompiler", "-fPIC",
               "-arch=sm_90", f"-I{toolkit / 'include'}", str(folder / "kernel.cu"), "-o",
               str(folder / "kernel.so")]
    return subprocess.run(command, capture_output=True, text=True, check=False,
                          env=os.environ | environment)


def test_jittor_is_given_the_emulated_libraries(toolkit: Path, tmp_path: Path) -> None:
    folder = prepare(toolkit / "bin" / "nvcc", [90], tmp_path).folder
    for name in ("cudart", "cublas", "cudnn"):
        library = (folder / "lib64" / f"lib{name}.so").resolve()
        assert library.parent == (toolkit / "lib64").resolve()


def test_what_the_real_compiler_refuses_is_an_error(toolkit: Path, tmp_path: Path) -> None:
    # g++ takes this: to it a thread's variable on the stack is as good as any.
    source = "__global__ void k(int* p) { int x = printf_of_the_host(); *p = x; }\n"
    source = "int host() { return 1; }\n" + source.replace("printf_of_the_host", "host")
    log = tmp_path / "log"
    only_cpu = compile_kernel(toolkit, tmp_path, source, FAKE_NVCC="cpu")
    both = compile_kernel(toolkit, tmp_path, source, FAKE_NVCC="both", FAKE_NVCC_LOG=str(log))
    assert only_cpu.returncode == 0, only_cpu.stderr
    assert both.returncode != 0
    assert "the real nvcc refuses" in both.stderr
    line = json.loads(log.read_text())
    assert (line["cpu"], line["source"]) == (0, str(tmp_path / "kernel.cu"))
    assert line["real"] != 0


def test_a_kernel_that_does_not_compile(toolkit: Path, tmp_path: Path) -> None:
    ran = compile_kernel(toolkit, tmp_path, "__global__ void k() { nothing(); }", FAKE_NVCC="cpu")
    assert ran.returncode != 0
    assert "nothing" in ran.stderr


def test_other_command_lines_go_to_the_real_compiler(toolkit: Path) -> None:
    ran = subprocess.run([str(toolkit / "bin" / "nvcc"), "--version"], capture_output=True,
                         text=True, check=True)
    assert "Cuda compilation tools" in ran.stdout


def test_functions_of_halves_have_the_names_of_the_real_headers(
    toolkit: Path, tmp_path: Path
) -> None:
    source = "void both(__half*, __nv_bfloat16*) {}"
    ran = compile_kernel(toolkit, tmp_path, source)
    assert ran.returncode == 0, ran.stderr
    symbols = subprocess.run(["nm", "-D", "-C", str(tmp_path / "kernel.so")], text=True,
                             capture_output=True, check=True).stdout
    assert "T both(__half*, __nv_bfloat16*)" in symbols


def test_nvidia_smi(toolkit: Path) -> None:
    def smi(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(toolkit / "bin" / "nvidia-smi"), *arguments], text=True,
                              capture_output=True, check=False, env=os.environ | environment)

    query = "--query-gpu=index,uuid,name,memory.free,memory.total"
    ran = smi(query, "--format=csv,noheader,nounits", FAKE_GPUS="2", FAKE_CC="86",
              FAKE_GPU_MEMORY="8000")
    assert ran.stdout.splitlines() == [
        f"{i}, GPU-00000000-0000-0000-0000-00000000000{i}, Emulated 86, 8000, 8000"
        for i in range(2)]
    assert smi(query, FAKE_GPUS="0").returncode != 0
    assert smi("--query-gpu=nonsense").returncode != 0
    assert smi("-L", FAKE_GPUS="3").stdout.count("Emulated") == 3


def test_the_project_reads_the_cards(toolkit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{toolkit / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_GPUS", "2")
    monkeypatch.setenv("FAKE_CC", "120")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    cards = visible_gpus()
    assert [(card.index, card.capability, card.instance) for card in cards] == [
        (0, 120, None), (1, 120, None)]
    assert {card.total_bytes for card in cards} == {24576 << 20}


def test_counters_from_python(toolkit: Path) -> None:
    script = """if True:
        import ctypes, sys
        from pathlib import Path
        from device_counters import DeviceCounters
        counters = DeviceCounters(Path(sys.argv[1]))
        runtime = ctypes.CDLL(sys.argv[1] + "/libcudart.so")
        memory = ctypes.c_void_p()
        runtime.cudaMalloc(ctypes.byref(memory), ctypes.c_size_t(1000))
        assert counters.read()["peak_bytes"] == 1000, counters.read()
        counters.reset()
        host = ctypes.create_string_buffer(100)
        runtime.cudaMemcpy(host, memory, ctypes.c_size_t(100), 2)
        read = counters.read()
        assert (read["copies_to_host"], read["bytes_to_host"]) == (1, 100), read
        assert (read["allocations"], read["bytes_in_use"]) == (0, 1000), read
    """
    ran = subprocess.run([sys.executable, "-c", script, str(toolkit / "lib64")], text=True,
                         capture_output=True, check=False,
                         cwd=Path(__file__).resolve().parent.parent)
    assert ran.returncode == 0, ran.stderr


def test_a_function_that_is_not_emulated_is_named(toolkit: Path) -> None:
    script = "import ctypes, sys; ctypes.CDLL(sys.argv[1]).cusparseGetVersion(None)"
    ran = subprocess.run([sys.executable, "-c", script, str(toolkit / "lib64" / "libcusparse.so")],
                         text=True, capture_output=True, check=False)
    assert ran.returncode < 0
    assert "cusparseGetVersion of cusparse is not emulated" in ran.stderr
