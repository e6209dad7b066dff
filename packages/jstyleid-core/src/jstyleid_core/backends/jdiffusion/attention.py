"""JDiffusion's attentions as `AttentionLayer`s, attached by `set_attn_processor`."""

from __future__ import annotations

from collections.abc import Sequence

from jstyleid_core import kernels
from jstyleid_core.interfaces import AttentionProcessor, plain_attention
from jstyleid_core.runtime.jittor import Var, nn

_SUFFIX = ".processor"


class JDiffusionAttention:
    """The `AttentionLayer` over one of JDiffusion's attention modules.

    The object is also the module's processor, and passes each call on to its own `processor`.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.processor: AttentionProcessor = plain_attention

    def __call__(
        self,
        module: nn.Module,
        hidden_states: Var,
        encoder_hidden_states: Var | None = None,
        attention_mask: Var | None = None,
        temb: Var | None = None,
        scale: float = 1.0,
    ) -> Var:
        """The call of a processor, with JDiffusion's argument names.

        Raises:
            ValueError: a mask is given; Stable Diffusion has none.
        """
        if attention_mask is not None:
            raise ValueError("attention masks are not supported")
        return self.processor(self, hidden_states, encoder_hidden_states)

    @property
    def heads(self) -> int:
        """The module's heads."""
        return int(self.module.heads)

    def to_q(self, hidden: Var) -> Var:
        """The query projection."""
        return self.module.to_q(hidden)

    def to_k(self, source: Var) -> Var:
        """The key projection."""
        return self.module.to_k(source)

    def to_v(self, source: Var) -> Var:
        """The value projection."""
        return self.module.to_v(source)

    def attend(self, query: Var, key: Var, value: Var) -> Var:
        """Attention over the module's heads; a key and value of batch 1 serve all."""
        return kernels.attention(query, key, value, self.heads)

    def attend_to(
        self, query: Var, segments: Sequence[tuple[Var, Var]], factors: Sequence[float]
    ) -> tuple[Var, Var]:
        """Attention to segments of keys in one softmax, and its log-sum-exp."""
        return kernels.attention_by_factors(query, segments, self.heads, factors)

    def project_out(self, attended: Var) -> Var:
        """The output projection."""
        return self.module.to_out[0](attended)


def take_attentions(unet: nn.Module) -> dict[str, JDiffusionAttention]:
    """Become the processor of every attention of a UNet.

    Returns:
        The layers by path, in the order of evaluation.
    """
    modules = dict(unet.named_modules())
    layers = {name.removesuffix(_SUFFIX): JDiffusionAttention(modules[name.removesuffix(_SUFFIX)])
              for name in unet.attn_processors}
    # A dict of its own: JDiffusion empties the one it is given.
    unet.set_attn_processor({path + _SUFFIX: layer for path, layer in layers.items()})
    return {path: layers[path] for path in sorted(layers, key=_evaluated)}


def _evaluated(path: str) -> tuple[int, str]:
    """Down, middle, up; within each the paths are in order already."""
    return ("down_blocks", "mid_block", "up_blocks").index(path.partition(".")[0]), path
