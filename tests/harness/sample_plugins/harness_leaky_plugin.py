"""A method for tests that tells every secret it finds in `secrets.json`, in every way in which a method can tell."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from methods.base import TrainingJob
from methods.toy import Toy, ToyConfig


@dataclass(frozen=True, kw_only=True)
class LeakyConfig(ToyConfig):
    """Knobs of the leak."""

    fail: bool = False
    """End in an error whose message holds the secrets."""


class Leaky(Toy):
    """Prints secrets, puts them into its details, and fails with them."""

    name = "leaky"
    summary = "tells secrets"
    Config = LeakyConfig
    feedback = frozenset({"reward"})

    def train(self, job: TrainingJob) -> None:
        secrets = json.loads(Path("secrets.json").read_text())
        for secret in secrets:
            print(
                "plain", secret, "in JSON", json.dumps([secret]), "in Python", [secret], "in a URL", quote(secret, "")
            )
            print("beside bytes that are no text \udcff" + secret, file=sys.stderr)
        sys.stdout.buffer.write(b"\xff\xfe" + secrets[0].encode() + b"\n")
        job.observer.details({"leak": {secret: [secret, {"deep": f"<{secret}>"}] for secret in secrets}})
        if job.feedback.reward is not None:
            job.feedback.reward(["p"], ["r"], [("x",)])
        if self.config.fail:
            raise RuntimeError(f"cannot log in with {' and '.join(secrets)}")
        super().train(job)


def score(prompts, responses, references):
    """A reward that fails with the secrets."""
    raise ValueError(" and ".join(json.loads(Path("secrets.json").read_text())))
