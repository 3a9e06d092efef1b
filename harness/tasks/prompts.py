"""The phrasings that put a task to a model. Training draws from all of them; evaluation uses the first.

Each holds `{input}` exactly once. They end where the answer begins, so that a model without a chat template
has only to go on.
"""

from __future__ import annotations

DIALOGUE_SUMMARY = (
    "Summarize the following dialogue.\n\n{input}\n\nSummary:\n",
    "Read this conversation and write a short summary of it.\n\n{input}\n\nSummary:\n",
    "{input}\n\nWhat was said in the dialogue above, in one or two sentences?\n",
    "Here is a dialogue:\n\n{input}\n\nBriefly tell what happened in it.\n",
    "Dialogue:\n{input}\n\nWrite down its main points in brief.\n",
)
"""Dialogue in, summary out."""

DATA_TO_TEXT = (
    "Describe the following restaurant data in one or two sentences.\n\n{input}\n\nDescription:\n",
    "Turn these attributes into natural text.\n\n{input}\n\nText:\n",
    "Write a short description of a venue with these properties: {input}\n\nDescription:\n",
    "Data: {input}\n\nPut all of the data above into fluent English.\n",
)
"""Pairs of attribute and value in, a sentence that says them all out."""

OWN_DATA = ("{input}\n\n",)
"""The user's own file: nothing is known of the task, so nothing is said about it; `--template` says more."""
