"""The table of metrics: the name that users type → `module:Class`. Others come by entry point or as a function."""

from __future__ import annotations

METRICS = {
    "rouge": "harness.scoring.rouge:Rouge",
    "exact-match": "harness.scoring.overlap:ExactMatch",
    "token-f1": "harness.scoring.overlap:TokenF1",
    "chrf": "harness.scoring.sacrebleu_metrics:Chrf",
    "bleu": "harness.scoring.sacrebleu_metrics:Bleu",
    "embedding-similarity": "harness.scoring.embedding:EmbeddingSimilarity",
}
