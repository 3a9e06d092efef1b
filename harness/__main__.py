"""`python -m harness`: starts the command line."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # `python -m` puts the working directory on the path, so a file called torch.py there would hide the library.
    if not sys.flags.safe_path and Path(sys.path[0]).resolve() != Path(__file__).resolve().parents[1]:
        del sys.path[0]
    from harness.cli import main

    sys.exit(main())
