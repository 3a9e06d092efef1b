"""Base model and tokenizer of a source, the same way for every method. Runs in the worker."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import ModelError
from harness.models.languages import set_languages
from harness.request import ModelSource
from methods.engine.layers import keep_compute_dtype
from methods.engine.texts import find_target_frame
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
    set_languages(tokenizer, source)
    _ensure_pad_token(tokenizer, source.name, model.get_input_embeddings().weight.shape[0])
    if "quantization_config" in options:  # before anything is evaluated, whoever does it first
        keep_compute_dtype(model)
    model.generation_config = _make_plain_generation_config(model, tokenizer)
    if "device_map" not in options:  # placed already where there is one
        model.to(device)
    return model.eval(), tokenizer


def _ensure_pad_token(tokenizer: Any, name: str, rows: int) -> None:
    """Pads are masked everywhere, so that any token will do where a model has none, or no row for it."""
    if tokenizer.eos_token_id is None:
        raise ModelError(f"the tokenizer of {name} has no end token, so that no method could learn where to stop")
    if tokenizer.eos_token_id >= rows:
        raise ModelError(f"the end token of {name} has the id {tokenizer.eos_token_id}, and the embedding {rows} rows")
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= rows:
        logging.getLogger(__name__).warning("no pad token in the embedding; the end token serves")
        tokenizer.pad_token = tokenizer.eos_token


def _make_plain_generation_config(model: Any, tokenizer: Any) -> Any:
    """Special tokens of the model's own generation config and nothing else.

    Published models carry sampling temperatures, beams and length penalties of their makers; a comparison has one
    way of decoding for all. A decoder is forced to begin with what training teaches as the beginning, or with nothing.
    """
    from transformers import GenerationConfig

    own = model.generation_config
    kept = ("bos_token_id", "eos_token_id", "decoder_start_token_id")
    forced = getattr(own, "forced_bos_token_id", None)
    if model.config.is_encoder_decoder and forced is not None:
        begins = find_target_frame(tokenizer)[0]
        if begins != [forced]:
            logging.getLogger(__name__).warning(
                "the model forces answers to begin with token %s, and the tokenizer begins targets with %s, which is "
                "what training teaches and what answers begin with here",
                *(forced, begins or "none"),
            )
        forced = begins[0] if begins else None
    return GenerationConfig(
        **{name: getattr(own, name) for name in kept if getattr(own, name, None) is not None},
        **({} if forced is None else {"forced_bos_token_id": forced}),
        pad_token_id=tokenizer.pad_token_id,
    )
