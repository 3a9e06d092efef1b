"""The old name of `harness.scoring`; plugins that import it go on working."""
