"""What runs: from the command line to one record per trial."""
