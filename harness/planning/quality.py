"""Whether what a spec asks for can go by quality: ROUGE sees nothing of references without words."""

from __future__ import annotations

from harness.errors import SpecError
from harness.scoring.rouge import Rouge
from harness.spec.spec import Spec
from harness.tasks import Task


def require_visible_references(spec: Spec, task: Task) -> None:
    """Raise `SpecError` where a flag makes something go by ROUGE, which is the same there whatever is answered."""
    led = {
        "--tune": task.validation if spec.tune else (),
        "--target-quality": task.validation if spec.target_quality is not None else (),
        "--reward rouge": task.train if spec.reward == Rouge.name else (),
    }
    for flag, examples in led.items():
        spot = Rouge().find_blind_spot([example.references for example in examples])
        if spot is not None and spot.total:
            raise SpecError(f"{flag} goes by ROUGE, but {spot.sentence}")
