"""The map of the packages, drawn from the layers that import-linter keeps."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_ROW, _GAP, _PAD, _HEAD = 30, 8, 14, 50
_LEFT, _RIGHT, _BETWEEN = 580, 300, 40
_STYLE = """
.package { fill: var(--md-default-fg-color--lightest, #eee); stroke: currentColor; }
.module { fill: var(--md-default-bg-color, #fff); stroke: currentColor; stroke-opacity: .35; }
text { fill: currentColor; font-family: sans-serif; font-size: 13px; text-anchor: middle; }
text.title { font-size: 15px; font-weight: bold; text-anchor: start; }
text.role { font-size: 12px; text-anchor: start; opacity: .75; }
.arrow { stroke: currentColor; stroke-width: 2; fill: none; marker-end: url(#head); }
"""


@dataclass(frozen=True)
class _Package:
    name: str
    role: str
    layers: tuple[tuple[str, ...], ...]

    @property
    def height(self) -> int:
        return _HEAD + len(self.layers) * (_ROW + _GAP) - _GAP + _PAD


_ROLES = {
    "jstyleid_runner": "the command jstyleid",
    "jstyleid_dreambooth": "LoRA layers and files, DreamBooth training",
    "jstyleid_core": "Stable Diffusion, DDIM, StyleID on Jittor",
    "jdiff_checker": "the command jdiff-check, on torch",
}


def draw_map(pyproject: Path) -> str:
    """An SVG of the packages with their layers: an upper layer imports lower ones only."""
    contracts = tomllib.loads(pyproject.read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = {
        contract["containers"][0]: tuple(
            tuple(name.strip() for name in layer.split("|")) for layer in contract["layers"])
        for contract in contracts if contract.get("containers")
    }
    *stack, alone = (_Package(name, role, layers.get(name, ())) for name, role in _ROLES.items())
    parts, top = [], 1
    for number, package in enumerate(stack):
        if number:
            middle = _LEFT // 2
            parts.append(f'<path class="arrow" d="M{middle} {top} V{top + _BETWEEN - 8}"/>'
                         f'<text class="role" x="{middle + 12}" y="{top + 24}">imports</text>')
            top += _BETWEEN
        parts.append(_box(package, 1, top, _LEFT))
        top += package.height
    parts.append(_box(alone, _LEFT + _BETWEEN, 1, _RIGHT))
    width, height = _LEFT + _BETWEEN + _RIGHT + 1, max(top, alone.height) + 2
    head = ('<marker id="head" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="5" '
            'markerHeight="5" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="currentColor"/>'
            '</marker>')
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
           f'aria-label="The packages and their layers"><style>{_STYLE}</style>'
           f"<defs>{head}</defs>{''.join(parts)}</svg>")
    return f'<div class="map">{svg}</div>'  # a block, which Markdown leaves as it is


def _box(package: _Package, left: int, top: int, width: int) -> str:
    parts = [
        f'<rect class="package" x="{left}" y="{top}" width="{width}" height="{package.height}" '
        'rx="8"/>',
        f'<text class="title" x="{left + _PAD}" y="{top + 21}">{package.name}</text>',
        f'<text class="role" x="{left + _PAD}" y="{top + 39}">{escape(package.role)}</text>',
    ]
    inside = width - 2 * _PAD
    for row, names in enumerate(package.layers):
        y = top + _HEAD + row * (_ROW + _GAP)
        each = (inside - (len(names) - 1) * _GAP) / len(names)
        for column, name in enumerate(names):
            x = left + _PAD + column * (each + _GAP)
            parts.append(
                f'<rect class="module" x="{x:.1f}" y="{y}" width="{each:.1f}" height="{_ROW}" '
                f'rx="4"/><text x="{x + each / 2:.1f}" y="{y + 20}">{escape(name)}</text>')
    return "".join(parts)
