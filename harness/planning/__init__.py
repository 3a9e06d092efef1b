"""Makes the trials of a spec, each with an id and a request, before anything runs."""
