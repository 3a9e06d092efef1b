"""What trials leave: records and their metrics, the run directory that holds them, and what keeps secrets out."""
