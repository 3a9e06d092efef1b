"""Base models and tokenizers: presets, local directories, hub ids, and the embedded pair."""
