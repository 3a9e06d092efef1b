"""The table of metrics: the name that users type → `module:Class`. Others come by entry point or as a function."""

from __future__ import annotations

METRICS = {
    "rouge": "harness.metrics.rouge:Rouge",
    "exact-match": "harness.metrics.overlap:ExactMatch",
    "token-f1": "harness.metrics.overlap:TokenF1",
    "chrf": "harness.metrics.sacre:Chrf",
    "bleu": "harness.metrics.sacre:Bleu",
    "embedding-similarity": "harness.metrics.embedding:EmbeddingSimilarity",
}
