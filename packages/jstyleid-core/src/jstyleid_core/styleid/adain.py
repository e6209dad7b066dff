"""Initial latent AdaIN: the style's tones for the content's layout."""

from __future__ import annotations

from jstyleid_core.runtime.jittor import Var, jt


def adain(content: Var, style: Var, eps: float) -> Var:
    """Give `content` the per-channel mean and deviation of `style` (StyleID equation 7).

    Args:
        content: (B, 4, h, w) inverted latents.
        style: (1, 4, h', w') or (B, 4, h', w') inverted latents; its size is its own.
        eps: added to the content's deviation.

    Returns:
        (B, 4, h, w). Deviations are the unbiased ones, over each sample's and channel's pixels.
    """
    content_mean, content_std = _moments(content)
    style_mean, style_std = _moments(style)
    return (content - content_mean) / (content_std + eps) * style_std + style_mean


def _moments(x: Var) -> tuple[Var, Var]:
    # jt.std would floor its result at 1e-3 and reduces one dimension only.
    mean = x.mean(dims=(2, 3), keepdims=True)
    centred = x - mean
    pixels = x.shape[2] * x.shape[3]
    return mean, jt.sqrt((centred * centred).sum(dims=(2, 3), keepdims=True) / (pixels - 1))
