"""The text encoder: CLIP's text transformer (Radford et al. 2021), without its projection head."""

from __future__ import annotations

import numpy as np

from jstyleid_core.config import TextConfig
from jstyleid_core.model.layers import LayerNorm, Linear
from jstyleid_core.runtime.jittor import Var, jt, nn


class Embeddings(nn.Module):
    """Token plus position."""

    def __init__(self, config: TextConfig) -> None:
        self.token_embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embedding = nn.Embedding(config.max_position_embeddings, config.hidden_size)

    def execute(self, ids: Var) -> Var:
        return self.token_embedding(ids) + self.position_embedding.weight[: ids.shape[1]]


class CausalSelfAttention(nn.Module):
    """Each token attends to itself and those before it; 77 tokens need no blocks."""

    def __init__(self, config: TextConfig) -> None:
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.q_proj, self.k_proj = Linear(width, width), Linear(width, width)
        self.v_proj, self.out_proj = Linear(width, width), Linear(width, width)

    def execute(self, x: Var, mask: Var) -> Var:
        batch, tokens, width = x.shape

        def split(projected: Var) -> Var:
            heads = projected.reshape(batch, tokens, self.heads, width // self.heads)
            return heads.transpose(0, 2, 1, 3).reshape(batch * self.heads, tokens, -1)

        q, k, v = split(self.q_proj(x)), split(self.k_proj(x)), split(self.v_proj(x))
        scores = nn.bmm_transpose(q * (width // self.heads) ** -0.5, k).float32() + mask
        attended = nn.bmm(nn.softmax(scores, dim=-1).cast(x.dtype), v)
        merged = attended.reshape(batch, self.heads, tokens, -1).transpose(0, 2, 1, 3)
        return self.out_proj(merged.reshape(batch, tokens, width))


class MLP(nn.Module):
    """GELU between two linear layers; OpenAI's weights were trained with its sigmoid form."""

    def __init__(self, config: TextConfig) -> None:
        self.quick = config.hidden_act == "quick_gelu"
        self.fc1 = Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = Linear(config.intermediate_size, config.hidden_size)

    def execute(self, x: Var) -> Var:
        x = self.fc1(x)
        x = x * jt.sigmoid(1.702 * x) if self.quick else nn.gelu(x)
        return self.fc2(x)


class TextLayer(nn.Module):
    """Attention and MLP, each on a normalised residual."""

    def __init__(self, config: TextConfig) -> None:
        self.layer_norm1 = LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.self_attn = CausalSelfAttention(config)
        self.layer_norm2 = LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = MLP(config)

    def execute(self, x: Var, mask: Var) -> Var:
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class TextStack(nn.Module):
    """The layers, under the name checkpoints give them."""

    def __init__(self, config: TextConfig) -> None:
        self.layers = nn.ModuleList([TextLayer(config) for _ in range(config.num_hidden_layers)])


class TextTransformer(nn.Module):
    """Embeddings, layers, final norm."""

    def __init__(self, config: TextConfig) -> None:
        self.embeddings = Embeddings(config)
        self.encoder = TextStack(config)
        self.final_layer_norm = LayerNorm(config.hidden_size, config.layer_norm_eps)

    def execute(self, ids: Var) -> Var:
        tokens = ids.shape[1]
        mask = jt.array(np.triu(np.full((tokens, tokens), -1e9, dtype=np.float32), k=1))
        x = self.embeddings(ids)
        for layer in self.encoder.layers:
            x = layer(x, mask)
        return self.final_layer_norm(x)


class CLIPTextEncoder(nn.Module):
    """Token ids (B, N) to the last layer's normalised states (B, N, hidden_size)."""

    def __init__(self, config: TextConfig) -> None:
        self.config = config
        self.text_model = TextTransformer(config)

    def execute(self, ids: Var) -> Var:
        return self.text_model(ids)
