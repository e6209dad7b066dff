"""The package beside Jittor, without torch; light to import."""

import importlib.metadata
import importlib.util
import subprocess
import sys

import jstyleid_dreambooth
from reference_sets import GOLDEN_LORA


def test_depends_on_the_core_and_well_kept_libraries() -> None:
    assert importlib.metadata.requires("jstyleid-dreambooth") == [
        f"jstyleid-core=={jstyleid_dreambooth.__version__}", "matplotlib>=3.9", "numpy<2,>=1.26",
        "pillow>=10.3", "pydantic>=2.7", "safetensors>=0.4.3", "tensorboardx>=2.6.2.2",
        "typing-extensions>=4.12", "wandb>=0.19; extra == 'wandb'"]


def test_no_torch_in_the_jittor_environment() -> None:
    assert importlib.util.find_spec("torch") is None


def test_files_are_read_and_written_without_jittor(tmp_path: object) -> None:
    code = ("import sys, jstyleid_dreambooth as d\n"
            f"lora = d.read_lora({str(GOLDEN_LORA / 'jittor.safetensors')!r})\n"
            f"d.write_lora({str(tmp_path)!r}, lora)\n"
            "assert len(lora) > 10 and d.LoRASettings().rank == 4\n"
            "assert 'jittor' not in sys.modules and 'jittor_utils' not in sys.modules\n")
    subprocess.run([sys.executable, "-c", code], check=True)
