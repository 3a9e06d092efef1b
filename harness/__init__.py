"""What runs: from the command line to one record per trial.

Importing it also binds `methods` and `reports` to the packages beside it, so that a `methods.py` or a `reports/` of the
user's is never taken for one of them, wherever it lies. What this file imports, Python has imported before it.
"""

import importlib.machinery
import importlib.util
import os
import sys

_BESIDE = ("methods", "reports")


def _leave_working_directory(root: str) -> None:
    """With `python -m harness…`: take off the path what `-m` puts first, the working directory.

    A file called torch.py or json.py there would hide the library. The root of a checkout, where such a file may lie as
    well, goes last, since the tests and others may still be imported from it.
    """
    if sys.argv[:1] != ["-m"]:  # so it reads while Python looks for the module to run, and at no other time
        return
    if not sys.flags.safe_path:
        del sys.path[0]
    if os.path.exists(os.path.join(root, "pyproject.toml")):  # noqa: PTH110, PTH118 - pathlib is not yet imported
        kept = [path for path in sys.path if os.path.abspath(path) != root]  # noqa: PTH100
        sys.path[:] = kept if len(kept) == len(sys.path) else [*kept, root]


def _bind_packages(root: str) -> None:
    for name in _BESIDE:
        found = None if name in sys.modules else importlib.machinery.PathFinder.find_spec(name, [root])
        if found is None or found.loader is None:  # imported before, or installed in a way of its own
            continue
        module = sys.modules[name] = importlib.util.module_from_spec(found)
        try:
            found.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise


_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
_leave_working_directory(_ROOT)
_bind_packages(_ROOT)
