"""The environment variables that a worker sees: those that it needs, and no secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from reports.records.secrets import is_secret

INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "PYTHONHASHSEED",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""Variables that a worker inherits, together with those that begin with one of `PREFIXES`."""
PREFIXES = (
    "HF_",
    "HARNESS_",
    "CUDA_",
    "NVIDIA_",
    "TORCH",
    "PYTORCH_",
    "OMP_",
    "MKL_",
    "XDG_",
    "BNB_",
    "COVERAGE_",
)
ADDED_VARIABLES = {"TOKENIZERS_PARALLELISM": "false", "PYTHONSAFEPATH": "1"}
"""Variables that every worker gets. With a safe path, a file `torch.py` in the working directory is not the library.

None of them makes malloc return memory sooner: resident memory would then differ more between methods, but training
would take twice as long.
"""


def build_worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of the parent that a worker may see, with those that every worker gets."""
    names = (key for key in environment if key in INHERITED or (key.startswith(PREFIXES) and not is_secret(key)))
    allowed = {key: environment[key] for key in names}
    # The worker must find the same packages as its parent, even where the parent runs from a checkout.
    paths = [str(Path(__file__).resolve().parents[2]), environment.get("PYTHONPATH", "")]
    return {**allowed, **ADDED_VARIABLES, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
