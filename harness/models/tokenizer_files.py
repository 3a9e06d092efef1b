"""What the files of a tokenizer say before it is loaded: whether there is one, and whether its words fit the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import ModelError

_VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
)
MAX_SHOWN = 3
"""How many words a sentence lists."""


def require_tokenizer(path: Path, name: str, config: Mapping[str, Any]) -> None:
    """Raise `ModelError` unless a tokenizer lies beside the weights whose words the model's embedding can hold."""
    told = _read_json(path / "tokenizer_config.json")
    if not any((path / file).is_file() for file in _VOCABULARIES) and not _needs_no_other_file(path, told):
        raise ModelError(f"{name}: there is no tokenizer beside the weights; save it there with its save_pretrained")
    rows = config.get("vocab_size")
    if not isinstance(rows, int):
        return
    # A pad is masked everywhere: another token takes its place where the embedding has no row for it (`loading`).
    beyond = sorted(word for word, index in _list_added_words(path, told).items() if index >= rows)
    if beyond := [word for word in beyond if word != _read_token(told.get("pad_token"))]:
        shown = ", ".join(map(repr, beyond[:MAX_SHOWN])) + (", …" if len(beyond) > MAX_SHOWN else "")
        raise ModelError(
            f"{name}: the tokenizer has {len(beyond)} words ({shown}) beyond the {rows} rows of the model's embedding; "
            "call model.resize_token_embeddings(len(tokenizer)) and save both, or take the words out of the tokenizer"
        )


def _needs_no_other_file(path: Path, told: Mapping[str, Any]) -> bool:
    """Whether the tokenizer's class has all its files, of which some (ByT5's) have none."""
    import transformers

    cls = getattr(transformers, str(told.get("tokenizer_class")), None)
    files = getattr(cls, "vocab_files_names", None)
    return files is not None and all((path / file).is_file() for file in files.values())


def _list_added_words(path: Path, told: Mapping[str, Any]) -> dict[str, int]:
    """Word → id of what was added to the vocabulary, from whichever file tells of it."""
    words: dict[str, int] = {}
    for file, key in (("tokenizer.json", "added_tokens"), ("added_tokens.json", None)):
        found = _read_json(path / file)
        listed = found.get(key, []) if key else [{"content": word, "id": index} for word, index in found.items()]
        words.update({item["content"]: item["id"] for item in listed if isinstance(item.get("id"), int)})
    for index, item in told.get("added_tokens_decoder", {}).items():
        words[item["content"]] = int(index)
    return words


def _read_token(token: Any) -> str | None:
    return token.get("content") if isinstance(token, dict) else token


def _read_json(file: Path) -> dict[str, Any]:
    """The object in a file; empty where there is none, or none that can be read: loading says what is wrong with it."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
