"""`python -m harness.worker`: carries out the trial whose request stands on standard input."""

import sys

from harness.worker.trial import main

sys.exit(main())
