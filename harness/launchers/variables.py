"""The environment variables that a worker sees: those that it needs, and no secrets."""

from __future__ import annotations

import os
import site
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
ADDED_VARIABLES = {
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONSAFEPATH": "1",
    "PYTHONIOENCODING": "utf-8:backslashreplace",
}
"""Variables that every worker gets. With a safe path, a file `torch.py` in the working directory is not the library.
What a worker prints goes into a log, which is UTF-8 whatever the terminal is.

None of them makes malloc return memory sooner: resident memory would then differ more between methods, but training
would take twice as long.
"""


def build_worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of the parent that a worker may see, with those that every worker gets."""
    names = (key for key in environment if key in INHERITED or (key.startswith(PREFIXES) and not is_secret(key)))
    allowed = {key: environment[key] for key in names}
    # The worker must find the same packages as its parent, even where the parent runs from a checkout. An installed
    # copy is found anyway, and on this path its neighbours would come before the standard library.
    root = str(Path(__file__).resolve().parents[2])
    paths = [] if root in _list_site_packages() else [root]
    if given := environment.get("PYTHONPATH"):
        paths.append(given)
    return {**allowed, **ADDED_VARIABLES, **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})}


def _list_site_packages() -> set[str]:
    """The folders in which this interpreter looks for installed packages by itself."""
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return {str(Path(folder).resolve()) for folder in folders}
