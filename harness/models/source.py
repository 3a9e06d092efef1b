"""Finds the model that the user names, and what it is. Reads `config.json`, and never loads weights.

A name is, in this order: a preset, a local directory, a hub id with an optional `@revision`. Whatever has to be
downloaded is downloaded here, before any worker starts, so that a hub out of reach ends in one sentence.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import ModelError
from harness.models.presets import PRESETS, Preset
from harness.models.tokenizer_files import require_tokenizer
from harness.names import read_file_name, read_hub_id
from harness.request import ModelKind, ModelSource
from methods.errors import suggest_names
from methods.types import Family

EMBEDDED_FOLDER = Path(__file__).parent / "embedded"
_SHARD = re.compile(r"[\w.-]+\.safetensors", re.ASCII)
_PICKLES = ("pytorch_model*.bin*", "model*.bin", "adapter_model.bin", "*.ckpt", "model*.pt", "*.pth")


def resolve_model(name: str, *, trust_remote_code: bool = False) -> ModelSource:
    """Find a model, downloading it if need be. Raises `ModelError` with what to do about it."""
    preset = PRESETS.get(name)
    if preset is not None:
        return _resolve_preset(preset, trust_remote_code)
    try:
        path = Path(name).expanduser()
    except RuntimeError as error:
        raise ModelError(f"--model {name} cannot be read ({error}); write the path out") from error
    if path.is_dir():
        own = read_file_name(path.resolve())
        return read_directory(path, name=own, kind="directory", trust_remote_code=trust_remote_code)
    if path.exists():
        raise ModelError(f"--model {name} is a file; give the directory that holds config.json and the weights")
    hub_id = read_hub_id(name)
    if hub_id is None:
        known = [preset.name for preset in PRESETS.values() if not preset.hidden]
        raise ModelError(
            f"unknown model {name!r}{suggest_names(name, known)}; give a preset, a directory, or ORG/NAME[@REVISION] "
            "for the hub"
        )
    identity, revision = hub_id
    return _resolve_hub(identity, revision, name=identity, trust_remote_code=trust_remote_code)


def read_directory(
    path: Path,
    *,
    name: str,
    kind: ModelKind,
    revision: str | None = None,
    preset: Preset | None = None,
    trust_remote_code: bool = False,
) -> ModelSource:
    """A source for a local directory, checked as far as that goes without loading. Raises `ModelError`."""
    config = read_config(path, name)
    family, architecture = _read_family(config, name)
    require_no_code(config, name, trust_remote_code)
    require_weights(path, name, architecture)
    require_tokenizer(path, name, config)
    return ModelSource(
        name=name,
        kind=kind,
        location=str(path.resolve()),
        revision=revision or hash_model_files(path),
        architecture=architecture,
        family=family,
        context=_read_context(config, family),
        dtype=preset.dtype if preset else None,
        settings=preset.settings if preset else {},
        note=preset.note if preset else None,
    )


def hash_model_files(path: Path) -> str:
    """First 16 hex digits of the SHA-256 over names and bytes of weights, config, tokenizer and code files."""
    digest = hashlib.sha256()
    for file in sorted(path.iterdir()):
        known = file.suffix in (".safetensors", ".json", ".model", ".txt", ".jinja", ".py")
        if known and file.name != "provenance.json" and file.is_file():
            digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()[:16]


def _resolve_preset(preset: Preset, trust_remote_code: bool) -> ModelSource:
    if preset.source is not None:
        return preset.source
    if preset.folder is not None:
        return read_directory(EMBEDDED_FOLDER / preset.folder, name=preset.name, kind="embedded", preset=preset)
    if preset.wheel is not None:
        from harness.models.pull import find_converted_folder

        folder = find_converted_folder(preset.wheel)
        if folder.is_dir():
            source = read_directory(folder, name=preset.name, kind="wheel", preset=preset)
            return dataclasses.replace(source, note=preset.wheel.note)
    assert preset.hub is not None
    try:
        return _resolve_hub(preset.hub, None, name=preset.name, trust_remote_code=trust_remote_code, preset=preset)
    except ModelError as error:
        if preset.wheel is None:
            raise
        raise ModelError(
            f"{error}; or run `python -m harness models pull {preset.name}`, which asks PyPI too"
        ) from error


def _resolve_hub(
    identity: str, revision: str | None, *, name: str, trust_remote_code: bool, preset: Preset | None = None
) -> ModelSource:
    from harness.models.hub import download_model

    path = download_model(identity, revision, code=trust_remote_code)
    # The hub's cache calls a snapshot's folder by its commit.
    return read_directory(
        path, name=name, kind="hub", revision=path.name, preset=preset, trust_remote_code=trust_remote_code
    )


def read_config(path: Path, name: str) -> dict[str, Any]:
    """The settings in a model directory's config.json. Raises `ModelError` where there are none."""
    file = path / "config.json"
    if not file.is_file():
        hint = "; it looks like an adapter, give its base model" if (path / "adapter_config.json").is_file() else ""
        raise ModelError(f"{name}: there is no config.json, so this is not a model directory{hint}")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{name}: config.json cannot be read ({error}); get the model again") from error
    if not isinstance(config, dict):
        raise ModelError(f"{name}: config.json holds no settings; get the model again")
    return config


def _read_family(config: Mapping[str, Any], name: str) -> tuple[Family, str]:
    architectures = config.get("architectures")
    architecture = architectures[0] if isinstance(architectures, list) and architectures else None
    if not isinstance(architecture, str):
        raise ModelError(f"{name}: config.json names no architecture, so what the model can do is not known")
    if config.get("is_encoder_decoder"):
        return "encoder-decoder", architecture
    if architecture.endswith(("ForCausalLM", "LMHeadModel")):
        return "decoder-only", architecture
    raise ModelError(f"{name}: {architecture} does not generate text; give a causal or an encoder–decoder model")


def _read_context(config: Mapping[str, Any], family: Family) -> int | None:
    # T5's `n_positions` is no limit: its positions are relative.
    keys = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
    for key in keys if family == "decoder-only" else keys[:1]:
        if isinstance(config.get(key), int):
            return int(config[key])
    return None


def require_no_code(config: Mapping[str, Any], name: str, trust_remote_code: bool) -> None:
    """Raise `ModelError` for a model that only code of its own can load, unless that is trusted. Runs none of it."""
    if trust_remote_code or "auto_map" not in config:
        return
    from transformers import CONFIG_MAPPING

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:  # else transformers' own class takes its place
        raise ModelError(
            f"{name} brings code of its own, without which it cannot be loaded; "
            "--trust-remote-code lets that code run on this machine: only for models you trust"
        )


def require_weights(path: Path, name: str, architecture: str) -> None:
    """Raise `ModelError` unless the directory holds whole safetensors weights, and no adapter that would join them."""
    if (path / "adapter_config.json").is_file():
        raise ModelError(
            f"{name}: an adapter (adapter_config.json) lies beside the model and would be loaded with it; merge it "
            "with peft's merge_and_unload, or move it away"
        )
    for file in _find_weight_files(path, name, architecture):
        _require_whole(file, name)


def _find_weight_files(path: Path, name: str, architecture: str) -> list[Path]:
    """The safetensors files of a model, looked for in the order in which transformers does. Raises `ModelError`."""
    if (path / "model.safetensors").is_file():
        return [path / "model.safetensors"]
    index = path / "model.safetensors.index.json"
    if index.is_file():
        try:
            needed = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
            if strange := [shard for shard in needed if not _SHARD.fullmatch(shard)]:
                raise ValueError(f"{strange[0]!r} is not a safetensors file beside it")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(f"{name}: {index.name} cannot be read ({error}); get the model again") from error
        missing = [shard for shard in needed if not (path / shard).is_file()]
        if missing:
            raise ModelError(f"{name}: {len(missing)} of {len(needed)} weight files are missing, such as {missing[0]}")
        return [path / shard for shard in needed]
    pickled = next((file.name for pattern in _PICKLES for file in sorted(path.glob(pattern))), None)
    if pickled:
        raise ModelError(
            f"{name}: its weights are in {pickled}, which could run code when it is opened; where you trust it, "
            f"convert it to safetensors: transformers.{architecture}.from_pretrained(DIR).save_pretrained(DIR)"
        )
    raise ModelError(f"{name}: there are no weights (model.safetensors) beside config.json; get the model again")


def _require_whole(file: Path, name: str) -> None:
    """Raise `ModelError` unless the safetensors file is as long as its header says."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(length, 100_000_000)))
        ends = [tensor["data_offsets"][1] for key, tensor in header.items() if key != "__metadata__"]
        whole = file.stat().st_size == 8 + length + max(ends, default=0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        whole = False
    if not whole:
        raise ModelError(f"{name}: {file.name} is truncated or not a safetensors file; get the model again")
