"""Base model and tokenizer of a source, the same way for every method. Runs in the worker."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import ModelError
from harness.request import ModelSource
from methods.engine.layers import keep_compute_dtype
from methods.errors import describe_error

if TYPE_CHECKING:
    import torch


def load_model(
    source: ModelSource,
    *,
    device: str,
    dtype: torch.dtype,
    options: Mapping[str, Any],
    trust_remote_code: bool = False,
) -> tuple[Any, Any]:
    """(model, tokenizer), the model in evaluation mode on `device`, its weights in `dtype`.

    `options` go to `from_pretrained`, such as a method's quantisation config. Raises `ModelError` for files that
    transformers cannot read. Nothing is downloaded and no pickle is opened.
    """
    import transformers
    from safetensors import SafetensorError

    classes = {
        "decoder-only": transformers.AutoModelForCausalLM,
        "encoder-decoder": transformers.AutoModelForSeq2SeqLM,
    }
    common = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source.location, **common)
        model, found = classes[source.family].from_pretrained(
            source.location, dtype=dtype, use_safetensors=True, output_loading_info=True, **common, **options
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        if getattr(error, "errno", None) == 28:
            raise
        sentence = describe_error(error, 300).replace(source.location, source.name)
        raise ModelError(f"{source.name} cannot be loaded: {sentence}") from error
    if missing := sorted(found["missing_keys"]):  # transformers would train on random numbers in their place
        raise ModelError(
            f"{source.name}: {len(missing)} weights are missing, such as {missing[0]}; get the model again"
        )
    _ensure_pad_token(tokenizer, source.name)
    if "quantization_config" in options:  # before anything is evaluated, whoever does it first
        keep_compute_dtype(model)
    model.generation_config = _make_plain_generation_config(model, tokenizer)
    if "device_map" not in options:  # placed already where there is one
        model.to(device)
    return model.eval(), tokenizer


def _ensure_pad_token(tokenizer: Any, name: str) -> None:
    """Pads are masked everywhere, so that any token will do where a model has none."""
    if tokenizer.eos_token_id is None:
        raise ModelError(f"the tokenizer of {name} has no end token, so that no method could learn where to stop")
    if tokenizer.pad_token_id is None:
        logging.getLogger(__name__).info("no pad token; the end token serves")
        tokenizer.pad_token = tokenizer.eos_token


def _make_plain_generation_config(model: Any, tokenizer: Any) -> Any:
    """Special tokens of the model's own generation config and nothing else.

    Published models carry sampling temperatures, beams and length penalties of their makers; a comparison has one
    way of decoding for all.
    """
    from transformers import GenerationConfig

    own = model.generation_config
    kept = ("bos_token_id", "eos_token_id", "decoder_start_token_id", "forced_bos_token_id")
    return GenerationConfig(
        **{name: getattr(own, name) for name in kept if getattr(own, name, None) is not None},
        pad_token_id=tokenizer.pad_token_id,
    )
