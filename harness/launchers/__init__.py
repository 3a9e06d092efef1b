"""Where a trial runs: a launcher takes a request and returns the record that the worker sent back."""
