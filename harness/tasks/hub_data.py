"""Reads data sets of the Hugging Face hub, with one sentence where that fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import DataError
from methods.errors import describe_error


def read_data_set(identity: str, revision: str | None, what: str, instead: str) -> Mapping[str, Any]:
    """The splits of a data set at a revision (the main branch if `None`): name → rows.

    Raises `DataError`, which calls the data `what` and says what to pass `instead`.
    """
    from datasets import load_dataset

    try:
        splits: Mapping[str, Any] = load_dataset(identity, revision=revision)
    except Exception as error:  # network, authorisation, cache, disk: for the user they are one
        raise DataError(
            f"{what} cannot be had from the hub ({describe_error(error)}); "
            f"check the network and HF_HUB_OFFLINE, or pass {instead}"
        ) from error
    return splits
