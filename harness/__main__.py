"""`python -m harness`: hands over to the command line."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # `python -m` looks for modules in the working directory first, where a file called torch.py would be taken for it.
    if not sys.flags.safe_path and Path(sys.path[0]).resolve() != Path(__file__).resolve().parents[1]:
        del sys.path[0]
    from harness.cli import main

    sys.exit(main())
