"""Start latents: what the reversal starts from, made of the content's and the style's at t = T.

All take the content's inverted latents z_c, (B, 4, h, w), and the style's z_s. Where there are
several references their pixels count as those of one picture, (1, 4, 1, P).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_core.styleid.settings import StyleIDSettings

_STYLE_SHARE = 0.6
_EAE = (0.6, 0.3)
_LOW_PASS, _LOW_KEPT, _NOISE = 0.3, 0.7, 0.3


def start_latents(settings: StyleIDSettings, content: Var, styles: Sequence[Var]) -> Var:
    """The start latents that the settings ask for.

    Args:
        settings: kind, epsilon of AdaIN, and seed of the noise.
        content: (B, 4, h, w) inverted latents.
        styles: (1, 4, h', w') inverted latents of each reference; sizes may differ.

    Returns:
        (B, 4, h, w). Each picture's depend on that picture alone, not on the rest of the batch.
    """
    eps, style = settings.adain_eps, _pooled(styles)
    match settings.start_latents:
        case "adain":
            return adain(content, style, eps)
        case "content-adain":
            return adain(content, style, eps, _STYLE_SHARE)
        case "efdm":
            return efdm(content, style)
        case "eae":
            first, last = _EAE
            return efdm(adain(efdm(content, style, first), style, eps), style, last)
        case "frequency":
            return frequency(content, settings.seed)
        case "none":
            return content


def adain(content: Var, style: Var, eps: float, share: float = 1) -> Var:
    """Give the content the per-channel mean and deviation of the style (StyleID equation 7).

        z = (z_c - mean_c) / (std_c + eps) * std + mean

    where mean and std are the style's, or with a share a < 1 (content-aware AdaIN, AttenST 2025)
    a * style's + (1 - a) * content's.

    Args:
        content: (B, 4, h, w) inverted latents.
        style: (1, 4, h', w') or (B, 4, h', w') inverted latents; the size may differ.
        eps: added to the content's deviation.
        share: the style's share of mean and deviation.

    Returns:
        (B, 4, h, w). Deviations are the unbiased ones, over each sample's and channel's pixels.
    """
    content_mean, content_std = _moments(content)
    mean, std = _moments(style)
    if share != 1:
        mean = share * mean + (1 - share) * content_mean
        std = share * std + (1 - share) * content_std
    return (content - content_mean) / (content_std + eps) * std + mean


def efdm(content: Var, style: Var, share: float = 1) -> Var:
    """Exact feature distribution matching (Zhang et al., CVPR 2022, equation 4).

    In each channel the pixel of rank i takes the value of rank i of the style:

        z = z_c + share * (sorted(z_s)[rank(z_c)] - z_c)

    Where the numbers of pixels differ, the style's sorted values are interpolated at the ranks
    (i + 1/2) / P.

    Args:
        content: (B, 4, h, w) inverted latents.
        style: (1, 4, h', w') inverted latents.
        share: 1 is an exact match.

    Returns:
        (B, 4, h, w).
    """
    z, samples = content.numpy(), style.numpy()
    pixels = z.shape[2] * z.shape[3]
    flat, sources = z.reshape(*z.shape[:2], pixels), np.sort(samples[0].reshape(z.shape[1], -1))
    at = (np.arange(pixels) + 0.5) / pixels
    known = (np.arange(sources.shape[1]) + 0.5) / sources.shape[1]
    values = np.stack([np.interp(at, known, source) for source in sources])
    # Stable: equal values keep the order of their pixels.
    ranks = flat.argsort(-1, kind="stable").argsort(-1)
    matched = np.take_along_axis(np.broadcast_to(values, flat.shape), ranks, -1)
    return _var(flat + share * (matched - flat), z)


def frequency(content: Var, seed: int) -> Var:
    """The content's latents with weakened low frequencies and some noise (StyleSSP, CVPR 2025).

        z = IFFT((1 - L) F + 0.7 L F) + 0.3 std_c noise,    F = FFT(z_c)

    with the Gaussian low pass L = exp(-|f|^2 / (2 * 0.3^2)), f from -1 to 1 in each direction. It
    keeps the layout and drops the content's own tones; the style does not enter.

    Args:
        content: (B, 4, h, w) inverted latents.
        seed: seed of the noise, which is the same for each picture.

    Returns:
        (B, 4, h, w).
    """
    z = content.numpy().astype(np.float64)
    rows, columns = (2 * np.fft.fftfreq(size) for size in z.shape[2:])
    low = np.exp(-(rows[:, None] ** 2 + columns**2) / (2 * _LOW_PASS**2))
    kept = np.fft.ifft2(np.fft.fft2(z) * (1 - (1 - _LOW_KEPT) * low)).real
    noise = np.random.default_rng(seed).standard_normal(z.shape[1:])
    deviation = z.std(axis=(2, 3), keepdims=True, ddof=1)
    return _var(kept + _NOISE * deviation * noise, z)


def _var(values: NDArray[Any], like: NDArray[Any]) -> Var:
    return jt.array(values.reshape(like.shape).astype(np.float32))


def _pooled(styles: Sequence[Var]) -> Var:
    """The pixels of all references as one picture; one reference is as it is, to the bit."""
    if len(styles) == 1:
        return styles[0]
    return jt.concat([style.reshape(1, style.shape[1], 1, -1) for style in styles], dim=3)


def _moments(x: Var) -> tuple[Var, Var]:
    # jt.std would floor its result at 1e-3 and reduces one dimension only.
    mean = x.mean(dims=(2, 3), keepdims=True)
    centred = x - mean
    pixels = x.shape[2] * x.shape[3]
    return mean, jt.sqrt((centred * centred).sum(dims=(2, 3), keepdims=True) / (pixels - 1))
