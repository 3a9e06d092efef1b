"""Peak memory of this process: resident on the host, live tensors on the CPU, and on a CUDA device.

Never `ru_maxrss`: a child process inherits its parent's value. On Linux the kernel's own high-water mark (VmHWM) is
reset at the start of each phase; where that is not possible, a thread samples the resident size.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
SAMPLE_SECONDS = 0.05


class HostPeak:
    """Peak resident bytes between `start` and `stop`."""

    def __init__(self) -> None:
        self._sampler: _Sampler | None = None

    def start(self) -> None:
        """Reset the kernel's mark, or start sampling where there is none to reset."""
        if self._sampler is not None:  # `stop` was not called
            self._sampler.stop()
            self._sampler = None
        _release_unused_memory()
        try:
            _CLEAR.write_text("5")
        except OSError:
            self._sampler = _Sampler()
            self._sampler.start()

    def stop(self) -> int | None:
        """Peak bytes since `start`."""
        if self._sampler is None:
            return read_high_water_bytes()
        peak, self._sampler = self._sampler.stop(), None
        return peak


def read_high_water_bytes() -> int | None:
    """VmHWM of this process in bytes; `None` where there is no /proc."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _release_unused_memory() -> None:
    """Return unused memory from malloc to the system, so that it does not count for the next phase."""
    with contextlib.suppress(OSError, AttributeError):  # only glibc has this function
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def read_resident_bytes() -> int:
    """Resident bytes of this process now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


class _Sampler(threading.Thread):
    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = read_resident_bytes()
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, read_resident_bytes())

    def stop(self) -> int:
        self.done.set()
        self.join()
        return max(self.peak, read_resident_bytes())


class DevicePeak:
    """Peak bytes that PyTorch allocated and reserved on the current CUDA device since `start`."""

    def start(self) -> None:
        """Reset PyTorch's peaks; a CPU build has none and raises if asked."""
        import torch

        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()

    def stop(self) -> tuple[int, int]:
        """(allocated, reserved) peaks in bytes."""
        import torch

        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()

    def read_allocated(self) -> int:
        """Bytes allocated now."""
        import torch

        return int(torch.cuda.memory_allocated())


class TensorPeak:
    """Exact live bytes of CPU tensor storage and their peak, seen through PyTorch's dispatcher.

    Each storage counts once, from the operation that returns it until it is freed. Views share a storage and add
    nothing. `count_model` adds tensors that exist already. Temporary memory inside a single operation is not seen.
    """

    def __init__(self) -> None:
        self.live = 0
        self.peak = 0
        self._known: dict[int, int] = {}
        self._mode: Any = None

    def count_model(self, model: torch.nn.Module) -> None:
        """Count the parameters and buffers of a model that was loaded before or outside the mode."""
        for tensor in [*model.parameters(), *model.buffers()]:
            self.count(tensor)

    def count(self, tensor: torch.Tensor) -> None:
        """Count the storage of a tensor if it is on the CPU and new."""
        if tensor.device.type != "cpu":
            return
        if (parts := _list_dense_parts(tensor)) is not None:
            for part in parts:
                self.count(part)
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        size = storage.nbytes()
        known = self._known.get(key)
        if known is None:
            self._known[key] = size
            weakref.finalize(storage, self._forget, key)
            self.live += size
        elif known != size:  # resized in place
            self._known[key] = size
            self.live += size - known
        if self.live > self.peak:
            self.peak = self.live

    def reset_peak(self) -> None:
        """Start a new peak from what lives now."""
        self.peak = self.live

    def _forget(self, key: int) -> None:
        self.live -= self._known.pop(key, 0)

    def __enter__(self) -> TensorPeak:
        """Watch every operation from here on."""
        import torch
        from torch.utils._python_dispatch import TorchDispatchMode

        see, tensor_type = self.count, torch.Tensor
        fresh: dict[Any, bool | None] = {}  # operation → whether it returns new storage, as `_returns_new_storage`

        class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                if func not in fresh:
                    fresh[func] = _returns_new_storage(func)
                new = fresh[func]
                if new is None:
                    with self:  # each operation that it calls comes here in turn
                        return func.decompose(*args, **(kwargs or {}))
                out = func(*args, **kwargs) if kwargs else func(*args)
                if new:
                    if isinstance(out, tensor_type):
                        see(out)
                    elif isinstance(out, (tuple, list)):
                        for item in out:
                            if isinstance(item, tensor_type):
                                see(item)
                return out

        self._mode = Watch()  # type: ignore[no-untyped-call]
        self._mode.__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        self._mode.__exit__(*reason)
        self._mode = None


def _list_dense_parts(tensor: torch.Tensor) -> list[torch.Tensor] | None:
    """The dense tensors that hold a sparse one, which has no storage itself; `None` for a dense one."""
    import torch

    if tensor.layout == torch.strided:
        return None
    if tensor.layout == torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    return []  # the memory of other layouts cannot be found


def _returns_new_storage(func: Any) -> bool | None:
    """Whether an operation returns new storage; `None` if it only calls other operations.

    Autograd takes such composites apart before the dispatcher's modes see them; under `inference_mode` they arrive
    whole, and the schema of many (`to`, `reshape`) leaves open whether they copy.
    """
    import torch

    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
        return None
    # Views and in-place operations return what was there before, and say so in their schema.
    return any(item.alias_info is None for item in func._schema.returns)
