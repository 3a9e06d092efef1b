"""Where a trial runs. The table of launchers: the name that users type → `module:Class`. Others come by entry point."""

from __future__ import annotations

LAUNCHERS = {"local": "harness.launchers.local:LocalLauncher"}
