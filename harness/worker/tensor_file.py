"""Tensors and JSON values in one safetensors file, which is written atomically and read only if its checksum is right.

This module writes the file itself, not through the safetensors library, to copy only one tensor at a time to the host:
a checkpoint must not raise a trial's peak memory. Reading loads each tensor when it is accessed, and needs no torch
before that.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from reports.records import files

if TYPE_CHECKING:
    import torch

_BEGIN, _NO_CHECKSUM = b'{"__metadata__":{"checksum":"', b"00000000"
"""The start of the header. The checksum stands at a fixed position; it is computed with zeros in its place."""
_CHUNK = 1 << 20
_TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
"""Name of a type in the file → in torch."""
_NAMES = {name: key for key, name in _TYPES.items()}


def write(path: Path, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> None:
    """Write the file, completely or not at all. Raises `OSError`; an earlier file is then kept."""
    files.write(path, lambda stream: _fill(stream, tensors, values))


def read(path: Path) -> tuple[Mapping[str, torch.Tensor], dict[str, Any]]:
    """The tensors, each of which is read when it is accessed, and the values.

    Raises `OSError`, and `ValueError` with the reason for a file that `write` did not write or that is damaged.
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        length = int.from_bytes(stream.read(8), "little")
        if length > size - 8:
            raise ValueError("it is truncated or of another kind")
        header = stream.read(length)
        checksum = header[len(_BEGIN) :][: len(_NO_CHECKSUM)]
        if not header.startswith(_BEGIN + checksum + b'"'):
            raise ValueError("it is of another kind")
        found = zlib.crc32(header.replace(checksum, _NO_CHECKSUM, 1))
        while chunk := stream.read(_CHUNK):
            found = zlib.crc32(chunk, found)
    if f"{found:08x}".encode() != checksum:
        raise ValueError("it is truncated or damaged")
    table = json.loads(header)
    values: dict[str, Any] = json.loads(table.pop("__metadata__")["values"])
    return _Tensors(path, 8 + length, table), values


def _fill(stream: BinaryIO, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> None:
    table: dict[str, Any] = {"__metadata__": {"checksum": _NO_CHECKSUM.decode(), "values": json.dumps(values)}}
    place = 0
    for name, tensor in tensors.items():
        end = place + tensor.numel() * tensor.element_size()
        kind = _NAMES[str(tensor.dtype).removeprefix("torch.")]
        table[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # aligns the tensors to eight bytes
    stream.write(len(header).to_bytes(8, "little") + header)
    checksum = zlib.crc32(header)
    for tensor in tensors.values():
        data = _view_as_bytes(tensor.detach().cpu())
        checksum = zlib.crc32(data, checksum)
        stream.write(data)
    stream.seek(8 + len(_BEGIN))
    stream.write(f"{checksum:08x}".encode())


def _view_as_bytes(tensor: torch.Tensor) -> Any:
    """The bytes of a tensor; without a copy if it is contiguous."""
    import torch

    return memoryview(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]


class _Tensors(Mapping[str, "torch.Tensor"]):
    """The tensors of a file that stays open, so that replacing the file does not change them."""

    def __init__(self, path: Path, start: int, table: Mapping[str, Any]) -> None:
        self._stream = path.open("rb")
        self._start = start
        self._table = table

    def __getitem__(self, name: str) -> torch.Tensor:
        import torch

        entry = self._table[name]
        tensor = torch.empty(entry["shape"], dtype=getattr(torch, _TYPES[entry["dtype"]]))
        self._stream.seek(self._start + entry["data_offsets"][0])
        if tensor.numel():
            self._stream.readinto(_view_as_bytes(tensor))
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)
