"""Samples responses and computes their log-probabilities, for decoder-only and encoder–decoder models alike.

B is the number of responses, P the width of their prompts, T that of the responses. Prompts are left-padded for
decoder-only models, responses right-padded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from methods.engine.encoding import Encoded, Encoder
from methods.engine.loss import accepts_logits_to_keep
from methods.types import TrainingJob

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Rollouts:
    """Responses that a policy sampled. Each prompt has several, which are adjacent."""

    prompts: torch.Tensor
    """(B, P) token ids."""
    prompt_mask: torch.Tensor
    """(B, P), 1 for real tokens."""
    responses: torch.Tensor
    """(B, T) token ids; the end is part of a response."""
    mask: torch.Tensor
    """(B, T), 1 up to and including the end."""
    ended: torch.Tensor
    """(B,) whether the response has an end within the length limit."""
    texts: list[str]
    """The responses as text, without special tokens."""

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def tokens(self) -> int:
        """Number of sampled tokens, without padding."""
        return int(self.mask.sum())

    @classmethod
    def of(cls, encoder: Encoder, rows: Sequence[Encoded], device: Any, texts: Sequence[str] = ()) -> Rollouts:
        """Make rollouts of given responses. Texts are empty if they are not given."""
        import torch

        prompts = encoder.generation_batch(rows)
        width = max(len(row.response) for row in rows)
        pad = encoder.tokenizer.pad_token_id
        responses = torch.tensor([[*row.response, *[pad] * (width - len(row.response))] for row in rows])
        mask = torch.tensor([[1] * len(row.response) + [0] * (width - len(row.response)) for row in rows])
        return cls(
            prompts=prompts["input_ids"].to(device),
            prompt_mask=prompts["attention_mask"].to(device),
            responses=responses.to(device),
            mask=mask.to(device),
            ended=torch.ones(len(rows), dtype=torch.bool, device=device),
            texts=list(texts) or [""] * len(rows),
        )

    def slice(self, start: int, stop: int) -> Rollouts:
        """Some of the responses, without columns that are padding in all of them."""
        # Padding is on the left in prompts of decoder-only models, and on the right everywhere else.
        kept, used = self.prompt_mask[start:stop].any(dim=0), self.mask[start:stop].any(dim=0)
        return Rollouts(
            prompts=self.prompts[start:stop, kept],
            prompt_mask=self.prompt_mask[start:stop, kept],
            responses=self.responses[start:stop, used],
            mask=self.mask[start:stop, used],
            ended=self.ended[start:stop],
            texts=self.texts[start:stop],
        )

    def rows(self) -> list[Encoded]:
        """Token ids of each prompt with its response."""
        pairs = zip(self.prompts, self.prompt_mask, self.responses, self.mask, strict=True)
        return [Encoded(p[pm.bool()].tolist(), r[m.bool()].tolist(), False) for p, pm, r, m in pairs]


def sample_responses(
    model: Any,
    encoder: Encoder,
    encoded: Sequence[Encoded],
    generate: Callable[..., torch.Tensor],
    *,
    samples: int,
    temperature: float,
) -> Rollouts:
    """Sample `samples` responses to each prompt at this temperature; 0 is greedy decoding.

    Nothing else changes the distribution (no top-k, no top-p, no penalties), so the model's log-probabilities
    are those of the distribution that was sampled from. `generate` is the method's own.
    """
    import torch

    stops = encoder.find_stops(model, chat=any(item.chat for item in encoded))
    batch = {name: tensor.to(model.device) for name, tensor in encoder.generation_batch(encoded).items()}
    decoding = {
        "max_new_tokens": encoder.limits.target_tokens,
        "num_return_sequences": samples,  # an encoder reads each prompt once
        **({"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}),
        "pad_token_id": encoder.tokenizer.pad_token_id,
        **stops.make_settings(encoder.tokenizer),
    }
    with torch.no_grad():
        ids = generate(model, batch, **decoding)
    # Encoder–decoder output begins with the decoder's start token, decoder-only output with the prompt.
    responses = ids[:, 1 if encoder.family == "encoder-decoder" else batch["input_ids"].shape[1] :]
    answers = [stops.read_answer(encoder.tokenizer, row) for row in responses.tolist()]
    lengths = torch.tensor([[answer.tokens] for answer in answers], device=responses.device)
    mask = (torch.arange(responses.shape[1], device=responses.device)[None] < lengths).long()
    responses = responses.masked_fill(mask == 0, encoder.tokenizer.pad_token_id)
    ended = torch.tensor([answer.ended for answer in answers], device=responses.device)
    prompts, prompt_mask = (batch[name].repeat_interleave(samples, 0) for name in ("input_ids", "attention_mask"))
    return Rollouts(prompts, prompt_mask, responses, mask, ended, [answer.text for answer in answers])


@dataclass(frozen=True)
class ResponseScores:
    """Log-probabilities and more that a model assigns to given responses."""

    log_probs: torch.Tensor
    """(B, T) log-probability of each response token, 0 on padding."""
    entropy: torch.Tensor | None = None
    """(B, T) entropy of the distribution that each token was drawn from, in nats, 0 on padding; without gradient. Only
    if requested, since it takes as much memory as the logits."""
    hidden: torch.Tensor | None = None
    """(B, T, width) last hidden state at the position that predicts each token. Only if requested."""


def compute_log_probs(
    model: Any,
    rollouts: Rollouts,
    family: str,
    *,
    temperature: float = 1.0,
    dtype: Any = None,
    hidden: bool = False,
    entropy: bool = False,
) -> ResponseScores:
    """Compute log-probabilities of the response tokens in one forward pass, with gradients if they are enabled.

    `temperature` is that of the sampling, `dtype` the compute dtype of mixed precision.
    """
    import torch

    mixed = dtype is not None and dtype != torch.float32
    autocast = torch.autocast(model.device.type, dtype=dtype) if mixed else contextlib.nullcontext()
    inputs = make_forward_inputs(model, rollouts, family)
    with autocast:
        output = model(**inputs, use_cache=False, output_hidden_states=hidden)
    length = rollouts.responses.shape[1]
    # Position t predicts the token at t + 1, so the first response token is predicted one position before it.
    logits = output.logits if family == "encoder-decoder" else output.logits[:, -length - 1 : -1]
    logits = logits.float() / temperature
    chosen = logits.gather(2, rollouts.responses.unsqueeze(2)).squeeze(2)
    normaliser = logits.logsumexp(dim=2)
    mask = rollouts.mask.to(logits.dtype)
    spread = None
    if entropy:
        with torch.no_grad():
            spread = (normaliser - (logits.softmax(dim=2) * logits).sum(dim=2)) * mask
    states = None
    if hidden:
        whole = output.decoder_hidden_states[-1] if family == "encoder-decoder" else output.hidden_states[-1]
        states = whole if family == "encoder-decoder" else whole[:, -length - 1 : -1]
    return ResponseScores((chosen - normaliser) * mask, spread, states)


def score_responses(
    model: Any,
    rollouts: Rollouts,
    job: TrainingJob,
    *,
    temperature: float,
    hidden: bool = False,
    entropy: bool = False,
) -> ResponseScores:
    """Call `compute_log_probs` for any number of responses; without gradients, in parts of twice the batch size."""
    import torch

    if torch.is_grad_enabled():
        return compute_log_probs(
            model, rollouts, job.facts.family, temperature=temperature, dtype=job.dtype, hidden=hidden
        )
    shape = rollouts.responses.shape
    chosen = torch.zeros(shape, device=model.device)
    spread = torch.zeros(shape, device=model.device) if entropy else None
    states = None
    for rows in split_rows(len(rollouts), 2 * job.batch_size):
        part = rollouts.slice(rows.start, rows.stop)
        found = compute_log_probs(
            model, part, job.facts.family, temperature=temperature, dtype=job.dtype, hidden=hidden, entropy=entropy
        )
        width = part.responses.shape[1]
        chosen[rows, :width] = found.log_probs
        if spread is not None:
            assert found.entropy is not None
            spread[rows, :width] = found.entropy
        if found.hidden is not None:
            if states is None:
                states = torch.zeros(*shape, found.hidden.shape[-1], device=model.device)
            states[rows, :width] = found.hidden.float()
    return ResponseScores(chosen, spread, states)


def make_forward_inputs(model: Any, rollouts: Rollouts, family: str) -> Mapping[str, Any]:
    """Make the arguments of a forward pass over prompts and responses.

    Position ids are explicit, since prefix tuning would otherwise count left padding as positions.
    """
    import torch

    if family == "encoder-decoder":
        return {
            "input_ids": rollouts.prompts,
            "attention_mask": rollouts.prompt_mask,
            "decoder_input_ids": shift_right(model, rollouts.responses),
        }
    mask = torch.cat([rollouts.prompt_mask, rollouts.mask], dim=1)
    kept = {"logits_to_keep": rollouts.responses.shape[1] + 1} if accepts_logits_to_keep(model) else {}
    return {
        "input_ids": torch.cat([rollouts.prompts, rollouts.responses], dim=1),
        "attention_mask": mask,
        "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
        **kept,
    }


def shift_right(model: Any, responses: torch.Tensor) -> torch.Tensor:
    """Make decoder inputs (B, T) of responses: the start token, then all but the last token."""
    import torch

    start = torch.full_like(responses[:, :1], model.config.decoder_start_token_id)
    return torch.cat([start, responses[:, :-1]], dim=1)


def split_rows(count: int, size: int) -> Iterator[slice]:
    """Yield slices of `size` rows; the last may be smaller."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
