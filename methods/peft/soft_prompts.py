"""PEFT tuners that put trained vectors before the text, and generation with them in batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from methods.adapters.prefix import compute_text_cache
from methods.engine.encoding import Encoder
from methods.knobs import knob
from methods.peft.method import PeftMethod, make_task_ids, use_first_task
from methods.types import Setting, TrainingConfig, require


class SoftPrompt(PeftMethod):
    """Trained embeddings before the text: prompt tuning, p-tuning and their kind.

    PEFT puts them before the whole row. In generation the rows of a decoder-only model start with padding, which would
    be between the prompt and the text. Here a row is padding, prompt, text.
    """

    def arguments(self, model: Any, setting: Setting) -> dict[str, Any]:
        """Prevent a second prompt for the decoder of an encoder–decoder model, which PEFT would add and never use."""
        found = {**super().arguments(model, setting), "num_transformer_submodules": 1}
        if found.get("prompt_tuning_init") == "TEXT":
            found["tokenizer_name_or_path"] = setting.tokenizer.name_or_path
        return found

    def generate(self, model: Any, inputs: Mapping[str, Any], **decoding: Any) -> Any:
        """Generate, and return prompt ids and generated ids, as `generate` of decoder-only models does."""
        if model.config.is_encoder_decoder:  # padding is on the right here
            return super().generate(model, inputs, **decoding)
        import torch

        ids = inputs["input_ids"]
        embeddings, mask = insert_prompt(model, ids, inputs["attention_mask"])
        made = model.get_base_model().generate(inputs_embeds=embeddings, attention_mask=mask, **decoding)
        if torch.is_tensor(made):
            return torch.cat([ids.repeat_interleave(len(made) // len(ids), 0), made], dim=1)
        made.sequences = torch.cat([ids.repeat_interleave(len(made.sequences) // len(ids), 0), made.sequences], dim=1)
        return made


def insert_prompt(model: Any, ids: Any, mask: Any) -> tuple[Any, Any]:
    """Return embeddings (rows, virtual + length, width) and mask (rows, virtual + length) of left-padded rows, each as
    padding, prompt, text."""
    import torch

    text = model.word_embeddings(ids)
    prompt = model.get_prompt(len(ids), task_ids=make_task_ids(ids)).to(text.dtype)
    virtual = prompt.shape[1]
    pads = (mask == 0).sum(dim=1, keepdim=True)
    column = torch.arange(virtual + ids.shape[1], device=ids.device)[None]
    # Index of each column in the prompt followed by the padded text.
    source = torch.where(column < pads, column + virtual, torch.where(column < pads + virtual, column - pads, column))
    both = torch.cat([prompt, text], dim=1)
    return both.gather(1, source[..., None].expand(-1, -1, both.shape[2])), (column >= pads).to(mask.dtype)


class MultitaskPrompt(SoftPrompt):
    """Multitask prompt tuning with a single task, since a trial has one."""

    def wrap(self, model: Any, config: Any, setting: Setting) -> Any:
        """Wrap the model, which then uses task 0 by default."""
        return use_first_task(super().wrap(model, config, setting))

    def load(self, model: Any, directory: Path) -> Any:
        """Load the prompt, which then uses task 0 by default."""
        return use_first_task(super().load(model, directory))

    def generate(self, model: Any, inputs: Mapping[str, Any], **decoding: Any) -> Any:
        """Generate, with the task ids that PEFT expects of an encoder–decoder model."""
        if model.config.is_encoder_decoder:
            decoding["task_ids"] = make_task_ids(inputs["input_ids"])
        return super().generate(model, inputs, **decoding)


@dataclass(frozen=True, kw_only=True)
class ContextKnobs(TrainingConfig):
    """Knobs of the context of training examples."""

    context_examples: int = knob(4, "Number of training examples before every text.")
    context_tokens: int = knob(
        256,
        "Maximum number of tokens of all these examples. Examples that do not fit are left out; the first one is cut.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.context_examples >= 1, "context_examples", "must be at least 1")
        require(self.context_tokens >= 1, "context_tokens", "must be at least 1")


class ContextPrompt(SoftPrompt):
    """CPT: training examples stand before the text; small changes of the embeddings of their prompts are trained."""

    Knobs = ContextKnobs

    def arguments(self, model: Any, setting: Setting) -> dict[str, Any]:
        """Add the examples as token ids with their types: 2 is input, which trains, 4 an answer, which does not."""
        encoder = Encoder(setting.tokenizer, setting.facts.family, setting.limits)
        ids: list[int] = []
        types: list[int] = []
        for example in setting.examples[: self.config.context_examples]:
            encoded = encoder.encode(self.write(example, setting.templates, 0))
            row = encoded.prompt + encoded.response
            if ids and len(ids) + len(row) > self.config.context_tokens:
                break
            ids += row
            types += [2] * len(encoded.prompt) + [4] * len(encoded.response)
        ids, types = ids[-self.config.context_tokens :], types[-self.config.context_tokens :]
        found = PeftMethod.arguments(self, model, setting)
        return {**found, "cpt_token_ids": ids, "cpt_mask": [1] * len(ids), "cpt_tokens_type_mask": types}

    def after_step(self, model: Any, step: int, progress: float) -> None:
        """Project the change now. PEFT would do it in the next forward pass, even if that one only evaluates."""
        import torch

        encoder = model.prompt_encoder[model.active_adapter]
        with torch.no_grad():
            encoder.delta_embedding.weight.copy_(encoder.get_projection())


@dataclass(frozen=True, kw_only=True)
class CacheKnobs(TrainingConfig):
    """Knobs of the initial vectors."""

    init: Literal["text", "random"] = knob(
        "text",
        "Initial vectors. `text`: the base model's own keys and values of a training prompt, as `prefix` has them. "
        "`random`: PEFT's random values.",
    )


class CachePrompt(PeftMethod):
    """Trained keys and values before those of every (decoder) layer: prefix tuning and cartridges."""

    Knobs = CacheKnobs

    def arguments(self, model: Any, setting: Setting) -> dict[str, Any]:
        """Add shapes from a real cache: PEFT takes them from the config, which is wrong for some models."""
        _, layers, heads, width = compute_text_cache(self, model, setting, 1).shape
        shapes = {"num_layers": layers // 2, "num_attention_heads": heads, "token_dim": heads * width}
        return {**super().arguments(model, setting), **shapes}

    def wrap(self, model: Any, config: Any, setting: Setting) -> Any:
        """Wrap the model, with vectors that start as the cache of real text."""
        import torch

        # A network that generates the vectors, or an initialisation chosen in PEFT's config, is left as it is.
        plain = not getattr(config, "prefix_projection", False) and not getattr(config, "init_weights", None)
        start = compute_text_cache(self, model, setting, config.num_virtual_tokens).flatten(1) if plain else None
        model = super().wrap(model, config, setting)
        encoder = model.prompt_encoder[model.active_adapter]
        if start is not None and self.config.init == "text":
            with torch.no_grad():
                if hasattr(encoder, "load_prompt_embeddings"):  # a cartridge keeps its first tokens frozen
                    encoder.load_prompt_embeddings(start)
                else:
                    encoder.embedding.weight.copy_(start)
        return model
