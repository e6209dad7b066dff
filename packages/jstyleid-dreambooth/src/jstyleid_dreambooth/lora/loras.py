"""LoRAs on the networks of a model: several at once by name, mixed, merged, trained."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from jstyleid_core.errors import InputError
from jstyleid_core.runtime.jittor import nn
from jstyleid_dreambooth.lora.initial import LoRASettings, new_lora
from jstyleid_dreambooth.lora.layers import (
    AdaptedExecute,
    Adapter,
    Merge,
    Trainables,
    adaptable_layers,
    freeze_for_good,
)
from jstyleid_dreambooth.lora.weights import Layout, LoRAWeights, LowRank, Part, fit_layers

if TYPE_CHECKING:
    from jstyleid_core import StableDiffusion


class LoRAs:
    """The LoRAs of one model's networks: y = W x + sum of weight * scale * B A x.

    A layer on which no LoRA is active computes exactly what it did before, at no cost: only the
    `execute` of layers with an active LoRA is replaced, on the module itself. Base weights, names
    and modules stay what they are, so weight loading, attention processors and the rest of
    `jstyleid_core` work alike with and without LoRAs. Load weights while nothing is merged.

    Example:
        >>> loras = LoRAs.of(model)
        >>> loras.add("style_00", read_lora("data/lora/style_B_00"))
        >>> model.generate(["Ring in style_00"], seeds=[0])
        >>> with loras.disabled():
        ...     StyleID(model).invert_style(picture)

    Args:
        networks: the network of each part of a LoRA.
        frozen: other networks, which training must freeze, too.
        on_change: called whenever the networks may answer differently than before, with whether
            they are being trained.
    """

    def __init__(
        self,
        networks: Mapping[Part, nn.Module],
        *,
        frozen: Sequence[nn.Module] = (),
        on_change: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._frozen = [*networks.values(), *frozen]
        self._changed = on_change
        self._layers: dict[Part, dict[str, nn.Module]] = {
            part: adaptable_layers(network) for part, network in networks.items()}
        self._loras: dict[str, dict[Part, dict[str, Adapter]]] = {}
        self._about: dict[str, Mapping[str, str]] = {}
        self._mix: dict[str, float] = {}
        self._enabled = True
        self._merge: Merge | None = None
        for layer in self._all_layers():
            if "execute" in vars(layer):
                raise ValueError("this network has LoRAs already: use the LoRAs that added them")

    @classmethod
    def of(cls, model: StableDiffusion) -> LoRAs:
        """LoRAs for a loaded model's UNet and text encoder."""
        return cls(
            {"unet": model.unet, "text_encoder": model.text_encoder},
            frozen=[model.vae],
            on_change=lambda in_training: model.networks_changed(in_training=in_training),
        )

    @property
    def layouts(self) -> dict[Part, Layout]:
        """Weight shapes of all layers that can be adapted."""
        return {part: {path: tuple(layer.weight.shape) for path, layer in layers.items()}
                for part, layers in self._layers.items()}

    @property
    def mix(self) -> dict[str, float]:
        """The weight of every LoRA by name; 0 is inactive."""
        return dict(self._mix)

    @property
    def enabled(self) -> bool:
        """Whether the mix acts at all."""
        return self._enabled

    @property
    def merged(self) -> bool:
        """Whether the mix is in the base weights."""
        return self._merge is not None

    def add(
        self, name: str, weights: LoRAWeights, *, weight: float = 1.0, dropout: float = 0.0
    ) -> None:
        """Attach a LoRA under a name; one that has the name is replaced.

        Args:
            name: any.
            weights: from `read_lora` or `new_lora`.
            weight: weight in the mix; 0 attaches the LoRA inactive.
            dropout: share in [0, 1) of the update's inputs that is zeroed in training.

        Raises:
            CheckpointError: the LoRA is for another architecture; nothing is attached then.
        """
        fitted = fit_layers(weights, self.layouts)
        self._loras[name] = {
            part: {path: Adapter(f"{part}.{path}", layer, self._layers[part][path], dropout)
                   for path, layer in layers.items()}
            for part, layers in fitted.layers.items()
        }
        self._about[name] = weights.about
        self._mix[name] = weight
        self._apply()

    def create(self, name: str, settings: LoRASettings) -> None:
        """Attach a new LoRA, which changes nothing until it is trained (see `new_lora`).

        Raises:
            InputError: a target pattern names no layer.
        """
        self.add(name, new_lora(self.layouts, settings), dropout=settings.dropout)

    def remove(self, name: str) -> None:
        """Detach a LoRA and forget it."""
        self._named(name)
        for kept in (self._loras, self._about, self._mix):
            kept.pop(name)
        self._apply()

    def detach(self) -> None:
        """Detach all LoRAs and restore the networks."""
        for name in list(self._loras):
            self.remove(name)

    def set_weight(self, name: str, weight: float) -> None:
        """Change one LoRA's weight in the mix; 0 makes it inactive."""
        self._named(name)
        self._mix[name] = weight
        self._apply()

    def use(self, mix: Mapping[str, float]) -> None:
        """Activate these LoRAs with these weights, and no others."""
        for name in mix:
            self._named(name)
        self._mix = {name: mix.get(name, 0.0) for name in self._mix}
        self._apply()

    def enable(self, on: bool = True) -> None:
        """Let the mix act, or not; the weights of the mix stay."""
        self._enabled = on
        self._apply()

    def disable(self) -> None:
        """Within the model nothing acts any more; `enable` brings the mix back."""
        self.enable(False)

    @contextlib.contextmanager
    def disabled(self) -> Iterator[None]:
        """Run the block with the base model; the LoRAs act again afterwards, merged or not."""
        enabled, merged = self._enabled, self.merged
        self.disable()
        try:
            yield
        finally:
            self.enable(enabled)
            if merged:
                self.merge()

    def merge(self) -> None:
        """Add the mix into the base weights: the same outputs to rounding, without its cost.

        Any later change of the mix restores the base weights first.
        """
        self._apply()
        self._merge = Merge(self._terms())
        for layer in self._all_layers():
            vars(layer).pop("execute", None)
        self._changed(False)

    def unmerge(self) -> None:
        """Restore the base weights bit for bit and let the mix act beside them again."""
        self._apply()

    def train(self, name: str) -> Trainables:
        """Make one LoRA trainable and stop the gradients of everything else.

        That also holds after `train()` of a network, which in Jittor restarts the gradients that
        `eval()` stopped. The LoRA's dropout is on until `stop_training`.

        Args:
            name: a LoRA whose weight is not 0, while LoRAs are enabled.

        Returns:
            Its variables, for the optimizer.

        Raises:
            InputError: no such LoRA, or it is inactive and so would get no gradients.
        """
        chosen = self._named(name)
        if not self._enabled or self._mix[name] == 0:
            raise InputError(f"LoRA {name!r} is inactive: enable it with a weight to train it")
        self.unmerge()
        self.stop_training()
        for network in self._frozen:
            freeze_for_good(network)
        adapters = list(_flat(chosen))
        for adapter in adapters:
            adapter.train()
        self._changed(True)
        return Trainables(adapters)

    def restart_dropout(self, *seeds: int) -> None:
        """Draw the coming masks of the LoRA in training from these numbers, such as (seed, step).

        A training that is resumed, or a step that is repeated, then drops the same inputs.
        """
        for adapter in self._adapters():
            if not adapter.down.is_stop_grad():
                adapter.restart_dropout(seeds)

    def stop_training(self) -> None:
        """Stop the gradients and the dropout of all LoRAs."""
        for adapter in self._adapters():
            adapter.freeze()
        self._changed(False)

    def weights(self, name: str) -> LoRAWeights:
        """A LoRA's values as they are now, for `write_lora`."""
        layers: dict[Part, dict[str, LowRank]] = {
            part: {path: adapter.values() for path, adapter in adapters.items()}
            for part, adapters in self._named(name).items()
        }
        return LoRAWeights(layers, self._about[name], f"LoRA {name!r}")

    def _named(self, name: str) -> dict[Part, dict[str, Adapter]]:
        if name not in self._loras:
            there = ", ".join(map(repr, self._loras)) or "none"
            raise InputError(f"no LoRA is called {name!r}; there are: {there}")
        return self._loras[name]

    def _adapters(self) -> Iterator[Adapter]:
        for lora in self._loras.values():
            yield from _flat(lora)

    def _all_layers(self) -> Iterator[nn.Module]:
        for layers in self._layers.values():
            yield from layers.values()

    def _terms(self) -> dict[nn.Module, list[tuple[Adapter, float]]]:
        terms: dict[nn.Module, list[tuple[Adapter, float]]] = {}
        for name, weight in self._mix.items():
            if self._enabled and weight != 0:
                for adapter in _flat(self._loras[name]):
                    terms.setdefault(adapter.base, []).append((adapter, weight))
        return terms

    def _apply(self) -> None:
        """Apply the mix to the layers, from their own weights."""
        if self._merge is not None:
            self._merge.undo()
            self._merge = None
        terms = self._terms()
        for layer in self._all_layers():
            if layer in terms:
                layer.execute = AdaptedExecute(layer, terms[layer])
            else:
                vars(layer).pop("execute", None)
        self._changed(False)


def _flat(lora: Mapping[Part, Mapping[str, Adapter]]) -> Iterable[Adapter]:
    return (adapter for adapters in lora.values() for adapter in adapters.values())
