"""A start from which copying is learned in minutes: attention heads that find and repeat what followed a word before.

Such induction heads (Olsson et al. 2022) form by themselves after some thousand steps, which is most of what training
a small model costs. Here their outline is planted before training, in the spirit of mimetic initialisation (Trockman &
Kolter 2023): one head looks at the token before, others look for places where the token before is the present one and
pass on what stands there. Training does the rest.
"""

from __future__ import annotations

from typing import Any

import torch

POSITION_SHARPNESS = 10.0
"""Logit by which a head prefers the token before to others near it."""
EMBEDDING = 0.08
"""Standard deviation of a Llama's embeddings, so that words are not lost in what the untrained layers add."""
MATCH = 2.3
"""Scale of matching queries and keys; a token and itself score about `MATCH² × √dimensions`."""


@torch.no_grad()
def plant(model: Any) -> None:
    """Plant copying heads in a fresh Llama or T5 whose head width is 32."""
    if model.config.is_encoder_decoder:
        _plant_t5(model)
    else:
        _plant_llama(model)


def _plant_llama(model: Any) -> None:
    config = model.config
    heads, width = config.num_attention_heads, config.hidden_size
    size = width // heads
    embedding = model.model.embed_tokens.weight
    spread = EMBEDDING
    embedding.normal_()
    # All of one length, and with a first feature that every token has, for heads that look at positions alone.
    embedding[:, 0] = 0
    embedding *= spread * width**0.5 / embedding.norm(dim=1, keepdim=True)
    embedding[:, 0] = 4 * spread
    constant = 4 / (1 + 16 / width) ** 0.5  # that feature after normalisation
    first, second = model.model.layers[0].self_attn, model.model.layers[1].self_attn
    content, written = _projections(heads // 2, size, width)

    angles = config.rope_parameters["rope_theta"] ** (-torch.arange(size // 2) / (size // 2))
    # Fast rotations tell neighbours apart, slow ones hardly turn over a whole dialogue and leave content as it is.
    fast, slow = (angles > 0.05).float(), (angles < 0.01).repeat(2).float()[:, None]
    strength = (POSITION_SHARPNESS * size**0.5 / (fast * (1 - angles.cos())).sum()) ** 0.5 / constant
    for head in range(heads // 2):
        rows = slice(head * size, (head + 1) * size)
        first.q_proj.weight[rows] = 0
        first.k_proj.weight[rows] = 0
        # The query is turned by one position, so that it meets keys that are one position back.
        first.q_proj.weight[rows, 0] = strength * torch.cat([fast * angles.cos(), -fast * angles.sin()])
        first.k_proj.weight[rows, 0] = strength * torch.cat([fast, 0 * fast])
        first.v_proj.weight[rows] = content[head]
        first.o_proj.weight[:, rows] = spread * 2 * written[head].T
        second.q_proj.weight[rows] = MATCH * slow * content[head]
        second.k_proj.weight[rows] = MATCH * slow * written[head]
        second.v_proj.weight[rows] = content[head]
        second.o_proj.weight[:, rows] = spread * 4 * content[head].T


def _plant_t5(model: Any) -> None:
    config = model.config
    heads, size, width = config.num_heads, config.d_kv, config.d_model
    content, written = _projections(heads // 2, size, width)
    encoder = model.encoder.block[0].layer[0].SelfAttention
    # Distances have a learned bias in T5; the second bucket is the token before.
    encoder.relative_attention_bias.weight[1, : heads // 2] = POSITION_SHARPNESS
    cross = model.decoder.block[0].layer[1].EncDecAttention
    for head in range(heads // 2):
        rows = slice(head * size, (head + 1) * size)
        encoder.q.weight[rows] *= 0.1
        encoder.v.weight[rows] = content[head]
        encoder.o.weight[:, rows] = 1.5 * written[head].T
        # T5 does not divide by the root of the width.
        scale = MATCH * size**-0.25
        cross.q.weight[rows] = scale * content[head]
        cross.k.weight[rows] = scale * written[head]
        cross.v.weight[rows] = content[head]
        cross.o.weight[:, rows] = 2 * content[head].T


def _projections(count: int, size: int, width: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """For each head, rows that read a token's content and rows that are free of it, all orthonormal, first column 0."""
    basis = torch.linalg.qr(torch.randn(width - 1, width - 1))[0]
    basis = torch.cat([torch.zeros(width - 1, 1), basis], dim=1)
    rows = [basis[i * size : (i + 1) * size] for i in range((width - 1) // size)]
    half = len(rows) // 2
    content, written = rows[:half], rows[half : 2 * half]
    return [content[i % half] for i in range(count)], [written[i % half] for i in range(count)]
