"""Source and target language of models of several languages, such as mBART, M2M100 and NLLB."""

from __future__ import annotations

import dataclasses
from typing import Any

from harness.errors import SpecError
from harness.request import ModelSource
from methods.errors import suggest_names

ATTRIBUTES = {"source_language": "src_lang", "target_language": "tgt_lang"}
"""Our name → the name that tokenizers of Transformers have for it."""


def choose_languages(source: ModelSource, source_language: str | None, target_language: str | None) -> ModelSource:
    """The source with the languages that the user gave. Raises `SpecError` for one that its tokenizer does not know."""
    if source_language is None and target_language is None:
        return source
    import transformers

    chosen = dataclasses.replace(source, source_language=source_language, target_language=target_language)
    flags = [
        name for name, language in (("source", source_language), ("target", target_language)) if language is not None
    ]
    if source.backend != "transformers":
        raise SpecError(f"{source.name} has no languages; leave --{flags[0]}-language out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(source.location, local_files_only=True)
    for flag in flags:
        name = f"{flag}_language"
        if not hasattr(tokenizer, ATTRIBUTES[name]):
            raise SpecError(f"the tokenizer of {source.name} has no languages; leave --{flag}-language out")
        language, known = getattr(chosen, name), _list_languages(tokenizer)
        if language not in known:
            raise SpecError(
                f"--{flag}-language {language!r} is none of the {len(known)} languages of {source.name}"
                f"{suggest_names(language, known)}"
            )
    told = ", ".join(f"{flag} language {getattr(chosen, f'{flag}_language')}" for flag in flags)
    return dataclasses.replace(chosen, note="; ".join(filter(None, (source.note, told))))


def set_languages(tokenizer: Any, source: ModelSource) -> None:
    """Have the tokenizer write the marks of the chosen languages around inputs and targets."""
    for name, attribute in ATTRIBUTES.items():
        if (language := getattr(source, name)) is not None:
            setattr(tokenizer, attribute, language)


def _list_languages(tokenizer: Any) -> list[str]:
    """Every language that the tokenizer has a token for, called as its `src_lang` is."""
    named = getattr(tokenizer, "lang_code_to_token", None) or getattr(tokenizer, "lang_code_to_id", None)
    if named:
        return list(named)
    plain = {tokenizer.unk_token, tokenizer.pad_token, tokenizer.eos_token, tokenizer.bos_token, tokenizer.mask_token}
    return [str(token) for token in tokenizer.added_tokens_decoder.values() if str(token) not in plain]
