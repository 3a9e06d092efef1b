"""From a spec to its trials, each with an id and a request, before anything runs."""
