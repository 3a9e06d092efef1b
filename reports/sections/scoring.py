"""How metrics read the texts: how they split words, and what they cannot see of the references."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reports.records.details import ScoringDetails, read_details
from reports.records.metrics import PRIMARY
from reports.records.record import Record

PRIMARY_LABEL = "rouge"
"""The metric that gives the primary number, as records call it under `scoring`."""


def describe_words(records: Sequence[Record]) -> str:
    """How each metric splits texts into words, as far as the records say; empty where none does."""
    told = dict.fromkeys(pair for scoring in _list_scoring(records) for pair in scoring.words.items())
    return "; ".join(f"{_title(label)}: {words}" for label, words in told)


def list_blind_spots(records: Sequence[Record]) -> tuple[str, ...]:
    """A sentence for each metric that cannot see some of the references."""
    told = dict.fromkeys(pair for scoring in _list_scoring(records) for pair in scoring.blind_spots.items())
    return tuple(f"{said if said.startswith(label) else said[:1].upper() + said[1:]}." for label, said in told)


def explain_missing_primary(records: Sequence[Record]) -> str:
    """Why trials that ended ok have no primary metric; empty where a record has it, or none says why."""
    done = [record for record in records if record.ok]
    if not done or any(record.metrics.get(PRIMARY) is not None for record in done):
        return ""
    return next(filter(None, (s.blind_spots.get(PRIMARY_LABEL, "") for s in _list_scoring(done))), "")


def list_warnings(records: Sequence[Record]) -> tuple[str, ...]:
    """Blind spots, and metrics that not all records were scored with by the same code."""
    hashes: dict[str, set[str]] = {}
    for record in records:
        for label, code in record.scoring.items() if record.ok else ():
            hashes.setdefault(label, set()).add(code)
    mixed = ", ".join(_title(label) for label, codes in sorted(hashes.items()) if len(codes) > 1)
    said = (
        f"Not all records were scored by the same code, so {mixed} may not mean the same: run the command again, which "
        "scores what is finished anew, without training."
    )
    return (*list_blind_spots(records), *((said,) if mixed else ()))


def _list_scoring(records: Sequence[Record]) -> Iterable[ScoringDetails]:
    return (scoring for record in records if (scoring := read_details(record.details).scoring) is not None)


def _title(label: str) -> str:
    return "ROUGE" if label == PRIMARY_LABEL else label
