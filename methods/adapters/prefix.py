"""`prefix`: trained keys and values before every layer's own (Li & Liang 2021), through PEFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from methods.adapters.lora import TASK_TYPES
from methods.base import Method
from methods.engine.encoding import Encoder
from methods.knobs import knob
from methods.types import Setting, TrainingConfig, require


@dataclass(frozen=True, kw_only=True)
class PrefixConfig(TrainingConfig):
    """Knobs of prefix tuning."""

    learning_rate: float = knob(
        5e-3,
        source="5e-3, as in PEFT's method comparison; prefix tuning needs a far higher rate than LoRA.",
    )
    virtual_tokens: int = knob(
        20,
        "Length of the prefix, in tokens; Li & Liang use 200 for summarization and 10 for table-to-text.",
    )
    init: Literal["text", "random"] = knob(
        "text",
        "Initial prefix. `text`: the base model's own keys and values of a training prompt, which is better with "
        "little data (Li & Liang, section 7.4). `random`: random values.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.virtual_tokens >= 1, "virtual_tokens", "must be at least 1")


class Prefix(Method):
    """Trained keys and values before those of every (decoder) layer; the base weights are frozen."""

    name = "prefix"
    summary = "trained keys and values before every layer's own (Li & Liang 2021)"
    Config = PrefixConfig

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Wrap the model with PEFT's prefix tuning; the prefix starts as the cache of real text or as random values."""
        import peft

        start = compute_text_cache(self, model, setting, self.config.virtual_tokens)
        _, layers, heads, width = start.shape
        config = peft.PrefixTuningConfig(
            task_type=TASK_TYPES[setting.facts.family],
            num_virtual_tokens=self.config.virtual_tokens,
            # Taken from a real cache. PEFT would count T5's layers in the encoder, and would be wrong if
            # heads × head width is not the model width (flan-t5-small).
            num_layers=layers // 2,
            num_attention_heads=heads,
            token_dim=heads * width,
        )
        model = peft.get_peft_model(model, config)
        if self.config.init == "text":
            embedding = model.prompt_encoder[model.active_adapter].embedding.weight
            embedding.data.copy_(start.reshape(embedding.shape))
        return model


def compute_text_cache(method: Method, model: Any, setting: Setting, tokens: int) -> Any:
    """Compute the base model's keys and values (tokens, 2 × layers, heads, head width) of training text."""
    import torch

    encoder = Encoder(setting.tokenizer, setting.facts.family, setting.limits)
    encoded = [encoder.encode(method.write(example, setting.templates, 0)) for example in setting.examples[:64]]
    seq2seq = setting.facts.family == "encoder-decoder"
    rows = [item.response if seq2seq else item.prompt for item in encoded]
    flat = [token for row in rows for token in row]
    ids = torch.tensor([(flat * (tokens // len(flat) + 1))[:tokens]], device=model.device)
    inputs = {"input_ids": ids}
    if seq2seq:
        prompt = torch.tensor([encoded[0].prompt], device=model.device)
        inputs = {"input_ids": prompt, "decoder_input_ids": ids}
    with torch.no_grad():
        cache = model(**inputs, use_cache=True).past_key_values
    cache = cache.self_attention_cache if seq2seq else cache
    return torch.stack([kv[0].transpose(0, 1) for layer in cache.layers for kv in (layer.keys, layer.values)], 1)
