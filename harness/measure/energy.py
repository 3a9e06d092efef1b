"""Energy of an NVIDIA device, read from NVML's counter (Volta and later); `None` where there is no such counter."""

from __future__ import annotations

import contextlib


class EnergyCounter:
    """Reads the total energy counter of the device that PyTorch uses; needs the extra `energy` (nvidia-ml-py)."""

    def __init__(self) -> None:
        self._handle = None
        # No NVML, no device, no permission or no counter all mean the same: energy is not measured here.
        with contextlib.suppress(Exception):
            import pynvml
            import torch

            pynvml.nvmlInit()
            identity = "GPU-" + str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)
            handle = pynvml.nvmlDeviceGetHandleByUUID(identity)
            pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
            self._handle = handle

    def read_joules(self) -> float | None:
        """Energy since the driver was loaded, in joules; only differences mean anything."""
        if self._handle is None:
            return None
        import pynvml

        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000
