"""Rewards that the user gives instead of a learned reward model: ROUGE-L, a Python function, or a model.

`resolve_reward` runs when a run is planned: it finds the reward, downloads it if necessary, and says in one sentence
what is wrong with it. `load_reward` makes it callable in the worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import ModelError, SpecError
from harness.models.hub import HubUnreachableError, download_model
from harness.models.source import hash_model_files, read_config, require_no_code, require_weights
from harness.names import read_hub_id
from harness.request import RewardSource
from harness.tasks.reading import expand_path
from harness.user_code.functions import FUNCTION, find_function
from methods.errors import describe_error
from methods.feedback import Scorer


def resolve_reward(text: str, *, trust_remote_code: bool = False) -> RewardSource:
    """Find a reward. Raises `HarnessError` with one sentence for what is none, or cannot be had or used."""
    if text == "rouge":
        return RewardSource("rouge", "rouge")
    path = expand_path(text, "--reward")
    if path.is_dir():
        return _make_model_source(path, path.resolve().name, None, trust_remote_code)
    if path.exists():
        raise SpecError(
            f"--reward {text} is a file; name a function in it as {path.stem}:FUNCTION, or give a directory"
        )
    if FUNCTION.fullmatch(text):
        return RewardSource(text, "function", find_function(text, "--reward")[1])
    hub_id = read_hub_id(text)
    if hub_id is None:
        raise SpecError(
            f"unknown reward {text!r}; give rouge, MODULE:FUNCTION, the directory of a sequence-classification model, "
            "or ORG/NAME[@REVISION] for one on the hub"
        )
    identity, revision = hub_id
    try:
        folder = download_model(identity, revision, code=trust_remote_code)
    except HubUnreachableError as error:
        raise ModelError(str(error).replace("--model", "--reward")) from error
    return _make_model_source(folder, identity, folder.name, trust_remote_code)


def load_reward(
    source: RewardSource, *, device: str, dtype: str, batch_size: int, trust_remote_code: bool = False
) -> Scorer:
    """The reward as something to call; a model is loaded onto `device` with weights in `dtype`. Runs in the worker."""
    if source.kind == "rouge":
        return make_rouge_scorer()
    if source.kind == "function":
        function, revision = find_function(source.name, "--reward")
        if revision != source.revision:
            raise SpecError(
                f"the file of --reward {source.name} changed after the run was planned; start the run again"
            )
        return Scorer(source.name, function)
    return Scorer(source.name, RewardModel(source, device, dtype, batch_size, trust_remote_code))


def find_reward_model(reward: Scorer | None) -> Any:
    """The model behind a reward, or None where there is none."""
    return reward.score.model if reward is not None and isinstance(reward.score, RewardModel) else None


def make_rouge_scorer() -> Scorer:
    """ROUGE-L F1 against the best reference, 0 to 1."""
    from harness.scoring.fast_rouge import score_rouge

    def best(prompts: Sequence[str], responses: Sequence[str], references: Sequence[tuple[str, ...]]) -> list[float]:
        return [row["rougeL"] for row in score_rouge(responses, references)]

    return Scorer("rouge", best)


def _make_model_source(path: Path, name: str, revision: str | None, trust_remote_code: bool) -> RewardSource:
    """A source for a directory, checked as far as that goes without loading. Raises `ModelError`."""
    config = read_config(path, name)
    architectures = config.get("architectures")
    architecture = (
        str(architectures[0]) if isinstance(architectures, list) and architectures else "an unknown architecture"
    )
    require_no_code(config, f"--reward {name}", trust_remote_code)
    own_code = trust_remote_code and "AutoModelForSequenceClassification" in str(config.get("auto_map"))
    if not architecture.endswith("ForSequenceClassification") and not own_code:
        raise ModelError(
            f"--reward {name}: {architecture} is not a sequence-classification model; give one with a single "
            "output, or write a function and name it as MODULE:FUNCTION"
        )
    require_weights(path, name, architecture)
    labels = config.get("id2label")
    _require_one_output(name, len(labels) if isinstance(labels, dict) else config.get("num_labels", 2))
    return RewardSource(name, "model", revision or hash_model_files(path), str(path.resolve()))


def _require_one_output(name: str, outputs: Any) -> None:
    if outputs != 1:
        raise ModelError(
            f"--reward {name}: the model has {outputs} outputs where a reward is one number; say what they are worth "
            "in a function, and name it as MODULE:FUNCTION (docs/preferences.md shows one)"
        )


class RewardModel:
    """A sequence-classification model with one output, as a function of prompts and responses."""

    def __init__(self, source: RewardSource, device: str, dtype: str, batch_size: int, trust_remote_code: bool) -> None:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        common = {"local_files_only": True, "trust_remote_code": trust_remote_code}
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(source.location, **common)
            self.model, found = AutoModelForSequenceClassification.from_pretrained(
                source.location,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                output_loading_info=True,
                **common,
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            sentence = describe_error(error, 300).replace(source.location, source.name)
            raise ModelError(f"--reward {source.name} cannot be loaded: {sentence}") from error
        if missing := sorted(found["missing_keys"]):  # transformers would score with random numbers in their place
            raise ModelError(f"--reward {source.name}: {len(missing)} weights are missing, such as {missing[0]}")
        _require_one_output(source.name, self.model.config.num_labels)
        self.model.eval().requires_grad_(False).to(device)
        self.batch_size = batch_size
        self._prepare_padding(source.name)
        lengths = (self.tokenizer.model_max_length, getattr(self.model.config, "max_position_embeddings", None))
        longest = min(length for length in lengths if length)
        # Of a chat the end is kept, of a pair the longer text is cut: what is judged is the response.
        self.chat = bool(self.tokenizer.chat_template)
        self.tokenizer.truncation_side = "left" if self.chat else "right"
        self.options = {"padding": True, "return_tensors": "pt"}
        if longest < 10**6:  # tokenizers without a limit of their own say 10^30
            self.options |= {"truncation": True, "max_length": longest}

    def __call__(
        self, prompts: Sequence[str], responses: Sequence[str], references: Sequence[tuple[str, ...]]
    ) -> list[float]:
        """The model's output for each response."""
        import torch

        scores: list[float] = []
        with torch.inference_mode():
            for start in range(0, len(responses), self.batch_size):
                part = slice(start, start + self.batch_size)
                inputs = self._encode(prompts[part], responses[part]).to(self.model.device)
                scores += self.model(**inputs).logits.float().squeeze(-1).tolist()
        return scores

    def _encode(self, prompts: Sequence[str], responses: Sequence[str]) -> Any:
        if not self.chat:
            return self.tokenizer(list(prompts), list(responses), **self.options)
        chats = [
            [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
            for prompt, response in zip(prompts, responses, strict=True)
        ]
        texts = self.tokenizer.apply_chat_template(chats, tokenize=False)
        return self.tokenizer(texts, add_special_tokens=False, **self.options)

    def _prepare_padding(self, name: str) -> None:
        """Pads come last, and the model knows them: decoder-only ones score the last token that is no pad."""
        if self.tokenizer.pad_token_id is None:
            if self.tokenizer.eos_token_id is None:
                raise ModelError(
                    f"--reward {name}: the tokenizer has neither a pad nor an end token, so nothing can pad"
                )
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.tokenizer.padding_side = "right"
        self.model.config.get_text_config().pad_token_id = self.tokenizer.pad_token_id
