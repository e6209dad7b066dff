"""Stands in for nvidia-smi: lists `FAKE_GPUS` cards of capability `FAKE_CC`.

Understood are `--query-gpu=FIELDS` (with `--format=csv,noheader,nounits`, as it is always printed
here), `-q -x` and `-L`; anything else prints the versions. All cards are listed, whatever
CUDA_VISIBLE_DEVICES says, as by the real program.
"""

from __future__ import annotations

import os
import sys


def main(arguments: list[str]) -> int:
    """Print what is asked for, and return the exit code."""
    count = int(os.environ.get("FAKE_GPUS") or 1)
    query = next((a.split("=", 1)[1] for a in arguments if a.startswith("--query-gpu=")), None)
    if count == 0:
        print("No devices were found")
        return 6  # the real program's code
    if query:
        for card in range(count):
            fields = _fields(card)
            unknown = [f for f in query.split(",") if f.strip() not in fields]
            if unknown:
                print(f'Field "{unknown[0]}" is not a valid field to query.')
                return 2
            print(", ".join(fields[f.strip()] for f in query.split(",")))
    elif "-L" in arguments:
        for card in range(count):
            fields = _fields(card)
            print(f"GPU {card}: {fields['name']} (UUID: {fields['uuid']})")
    elif "-x" in arguments:
        print("<nvidia_smi_log><driver_version>580.00</driver_version>"
              "<cuda_version>13.0</cuda_version></nvidia_smi_log>")
    else:
        print("NVIDIA-SMI 580.00    Driver Version: 580.00    CUDA Version: 13.0")
    return 0


def _fields(card: int) -> dict[str, str]:
    capability = os.environ.get("FAKE_CC") or "90"
    memory = (os.environ.get("FAKE_GPU_MEMORY") or "24576").split(",")
    total = int(memory[min(card, len(memory) - 1)])
    return {
        "index": str(card),
        "uuid": f"GPU-00000000-0000-0000-0000-{card:012d}",
        "name": f"Emulated {capability}",
        "memory.total": str(total),
        "memory.free": str(total),
        "memory.used": "0",
        "compute_cap": f"{capability[:-1]}.{capability[-1]}",
        "mig.mode.current": "[N/A]",  # a card that cannot be divided
        "driver_version": "580.00",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
