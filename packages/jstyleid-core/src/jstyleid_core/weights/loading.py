"""Loading networks from a checkpoint: each tensor once, in a stream, with nothing left over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from jstyleid_core.config import Component
from jstyleid_core.errors import CheckpointError
from jstyleid_core.interfaces import Networks
from jstyleid_core.kernels import widen
from jstyleid_core.kernels.code import runs_on_cpu
from jstyleid_core.progress import Preparing
from jstyleid_core.runtime.jittor import Var, jt, nn
from jstyleid_core.weights.checkpoint import Checkpoint
from jstyleid_core.weights.tensors import StoredTensor, widen_bfloat16

_LISTED = 8


def load_module(
    module: nn.Module,
    tensors: Mapping[str, StoredTensor],
    dtype: str,
    on_tensor: Callable[[int, int], None] | None = None,
) -> None:
    """Give every parameter of `module` its tensor, converted to `dtype`.

    One tensor is in flight at a time, so the peak of memory is the loaded module and the largest
    tensor.

    Args:
        module: module built from the checkpoint's configuration; initial values are never made.
        tensors: the tensors by the names of the parameters.
        dtype: `float32` or `float16`.
        on_tensor: called after each tensor with the numbers of tensors done and in all.

    Raises:
        CheckpointError: a file is damaged, or tensors are missing, unexpected or misshapen; all of
            them are listed.
    """
    # Integers are no weights: the positions 0..76 that some text encoders count among theirs.
    parameters: dict[str, Var] = {name: var for name, var in module.named_parameters()
                                  if "float" in str(var.dtype)}
    _check(parameters, tensors)

    in_file_order = sorted(tensors.items(), key=lambda item: (item[1].file, item[1].offset))
    for done, (name, tensor) in enumerate(in_file_order, start=1):
        parameters[name].assign(_as_var(tensor, dtype).reshape(parameters[name].shape))
        # This one only: a weak sync would also make the initial values of all that are to come.
        # On CUDA it puts the tensor on the card before the next one is read.
        jt.sync([parameters[name]], weak_sync=False)
        if on_tensor:
            on_tensor(done, len(in_file_order))
    module.eval()  # weights of a checkpoint are not trained; LoRA layers bring their own


def _as_var(tensor: StoredTensor, dtype: str) -> Var:
    stored = tensor.map()
    if tensor.dtype == "BF16":
        values = widen_bfloat16(stored).astype(dtype, copy=False)
    elif tensor.dtype == "F16" and dtype == "float32" and runs_on_cpu():
        return widen(stored)
    else:
        values = stored.astype(dtype)
    if runs_on_cpu():
        with jt.flag_scope(reuse_array=1):  # the array becomes the Var's memory, without a copy
            return jt.array(values)
    # An array keeps a page-locked twin on the host as long as it lives; its copy has none. Without
    # the flag, which is 0 otherwise (see `startup`), a pool would keep the largest tensor's memory.
    with jt.flag_scope(use_cuda_host_allocator=1):
        return jt.array(values).copy()


def _check(parameters: Mapping[str, Var], tensors: Mapping[str, StoredTensor]) -> None:
    problems = list(_problems(parameters, tensors))
    if problems:
        shown = problems[:_LISTED]
        if len(problems) > _LISTED:
            shown.append(f"… and {len(problems) - _LISTED} more")
        files = sorted({tensor.file for tensor in tensors.values()})
        place = files[0] if len(files) == 1 else files[0].parent
        raise CheckpointError(
            f"{place} does not fit the architecture that the checkpoint describes:\n  "
            + "\n  ".join(shown)
            + "\nDownload the checkpoint again, or check that config.json belongs to the weights."
        )


def _problems(
    parameters: Mapping[str, Var], tensors: Mapping[str, StoredTensor]
) -> Iterator[str]:
    for name in sorted(parameters.keys() - tensors.keys()):
        yield f"missing: {name} {list(parameters[name].shape)}"
    for name in sorted(tensors.keys() - parameters.keys()):
        yield f"unexpected: {tensors[name].name} {list(tensors[name].shape)}"
    for name in sorted(parameters.keys() & tensors.keys()):
        wanted, got = list(parameters[name].shape), list(tensors[name].shape)
        # Attention weights of converted VAEs may be 1x1 convolutions.
        if got not in (wanted, [*wanted, 1], [*wanted, 1, 1]):
            yield f"wrong shape: {tensors[name].name} is {got}, expected {wanted}"


def load_networks(
    networks: Networks, checkpoint: Checkpoint, dtype: str, preparing: Preparing | None
) -> None:
    """Stream a checkpoint's tensors into its networks.

    Args:
        networks: built from this checkpoint's configuration.
        checkpoint: checkpoint with the files.
        dtype: number format of UNet and text encoder.
        preparing: called after each tensor.

    Raises:
        CheckpointError: a file is missing, damaged or does not fit; the message names it.
    """
    components: tuple[tuple[Component, nn.Module, str], ...] = (
        ("text_encoder", networks.text_encoder, dtype),
        # The VAE overflows float16 on some pictures; it is small, so it stays wide.
        ("vae", networks.vae, "float32"),
        ("unet", networks.unet, dtype),
    )
    for component, module, number in components:
        on_tensor = partial(preparing, f"loading {component}") if preparing else None
        load_module(module, checkpoint.tensors(component), number, on_tensor)
    jt.gc()  # gives back the memory that the tensors passed through
