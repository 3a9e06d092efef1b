"""How near a prediction is in meaning to its references, by a sentence-transformers model of the user's.

The model is a local directory: nothing is downloaded, no weights are unpickled, and none of its own code runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.errors import ModelError, SpecError
from harness.models.source import hash_model_files, read_config, require_weights
from harness.names import make_file_name
from harness.scoring.base import MetricPlugin, References
from harness.tasks.reading import expand_path
from methods.errors import describe_error
from methods.knobs import knob
from reports.records.metrics import Metric


@dataclass(frozen=True, kw_only=True)
class EmbeddingConfig:
    """Settings of the embedding similarity."""

    model: str = knob(
        "",
        "Directory of a sentence-transformers model, or of an encoder whose token vectors are averaged.",
    )
    device: str = knob("cpu", "Where the model runs. The tuned model still holds memory of the accelerator by then.")


class EmbeddingSimilarity(MetricPlugin):
    """Cosine of the embeddings of prediction and reference."""

    name = "embedding-similarity"
    summary = "cosine similarity to the nearest reference, by a local model: embedding-similarity[model=DIR]"
    package = "sentence_transformers"
    install = "sentence-transformers"
    Config = EmbeddingConfig
    light = False

    @property
    def declares(self) -> tuple[Metric, ...]:
        """One number, which carries the model's name: those of two models have nothing in common."""
        return (
            Metric(
                f"embedding_similarity[{make_file_name(self._model.name)}]",
                f"similarity ({self._model.name})",
                "score",
                "higher",
                "mean over examples of the largest cosine between the embeddings of the prediction and a reference, "
                f"-1 to 1; 0 for a blank prediction (model {self._model.name}, content {self.revision}, "
                f"sentence-transformers {version('sentence-transformers')})",
            ),
        )

    @property
    def label(self) -> str:
        """The name with that of the model, without its path."""
        return f"{self.name}[model={self._model.name}]" if self.config.model.strip() else self.name

    @cached_property
    def revision(self) -> str:
        """First 16 hex digits of a SHA-256 over the files of the directory and its folders; empty where it is gone."""
        if not self._model.is_dir():
            return ""
        folders = [self._model, *sorted(folder for folder in self._model.rglob("*") if folder.is_dir())]
        contents = [[str(folder.relative_to(self._model)), hash_model_files(folder)] for folder in folders]
        return hashlib.sha256(json.dumps(contents).encode()).hexdigest()[:16]

    def check(self) -> None:
        """Raise `HarnessError` unless the directory holds a model in safetensors that needs no code of its own."""
        if not self.config.model.strip():
            raise SpecError(f"{self.name} needs a local model: write {self.name}[model=DIR]")
        if not self._model.is_dir():
            raise SpecError(f"{self.name}: {self.config.model} is not a directory; nothing is downloaded for a metric")
        name = f"the model {self._model.name} of {self.name}"
        config = read_config(self._model, name)
        if "auto_map" in config or any(not kind.startswith("sentence_transformers.") for kind in self._modules(name)):
            raise ModelError(f"{name} brings code of its own, which is not run; give another model")
        require_weights(self._model, name, "AutoModel")
        pickled = next(
            (file.name for kind in ("*.bin", "*.pt") for file in sorted(self._model.glob(f"*/{kind}"))), None
        )
        if pickled:
            raise ModelError(f"{name}: {pickled} could run code when it is opened; convert it to safetensors")

    def score(
        self, predictions: Sequence[str], references: References, inputs: Sequence[str]
    ) -> Sequence[dict[str, float]]:
        """The largest cosine, -1 to 1. Each distinct text is embedded once."""
        texts = list(dict.fromkeys([*predictions, *(text for wanted in references for text in wanted)]))
        vectors = self._encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        place = {text: number for number, text in enumerate(texts)}
        (metric,) = self.declares
        nearest = [
            max(float(vectors[place[given]] @ vectors[place[one]]) for one in wanted)
            for given, wanted in zip(predictions, references, strict=True)
        ]
        return [
            {metric.name: cosine if given.strip() else 0.0} for given, cosine in zip(predictions, nearest, strict=True)
        ]

    @cached_property
    def _encoder(self) -> Any:
        from sentence_transformers import SentenceTransformer

        options = {"local_files_only": True, "model_kwargs": {"use_safetensors": True}}
        try:
            return SentenceTransformer(str(self._model), device=self.config.device, **options)
        except Exception as error:  # what a model's files can be wrong in is told in many ways
            reason = describe_error(error, 300).replace(str(self._model), self._model.name)
            raise ModelError(f"{self._model.name} cannot be loaded: {reason}") from error

    @property
    def _model(self) -> Path:
        return expand_path(self.config.model, f"model of {self.name}").resolve()

    def _modules(self, name: str) -> list[str]:
        """The classes that make the model, where the directory lists them."""
        file = self._model / "modules.json"
        if not file.is_file():
            return []
        try:
            return [str(module["type"]) for module in json.loads(file.read_text(encoding="utf-8"))]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelError(f"{name}: modules.json cannot be read ({error}); get the model again") from error
