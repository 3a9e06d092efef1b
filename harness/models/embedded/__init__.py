"""The embedded pair: a tiny model of each family, shipped with the project, and how they were made."""
