"""Downloads models from the Hugging Face hub, with one sentence for each way in which that fails."""

from __future__ import annotations

from pathlib import Path

from harness.errors import ModelError

# Safetensors, configs and tokenizers; no pickles and no weights of other frameworks.
_WANTED = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja", "*.tiktoken"]
_UNWANTED = ["onnx/*", "openvino/*", "original/*", "runs/*", "*/checkpoint-*"]


def download_model(identity: str, revision: str | None, *, code: bool = False) -> Path:
    """Local folder of a model at a revision (the main branch if `None`), downloaded unless it is in the hub's cache.

    `code` brings the repository's own Python files too. Raises `ModelError` where the hub is out of reach, does not
    have the model, or does not let the user have it.
    """
    import huggingface_hub
    from huggingface_hub import errors

    what = f"{identity}@{revision}" if revision else identity
    try:
        return Path(
            huggingface_hub.snapshot_download(
                identity,
                revision=revision,
                allow_patterns=[*_WANTED, *(["*.py"] if code else [])],
                ignore_patterns=_UNWANTED,
            )
        )
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{what} asks for an agreement: accept it on the hub, then log in with `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"{identity} has no revision {revision!r} on the hub") from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(f"the hub has no model {identity!r}, or it is private and you are not logged in") from error
    except errors.HFValidationError as error:
        raise ModelError(f"{identity!r} is not an id of the hub ({error})") from error
    except OSError as error:
        if error.errno == 28:
            raise ModelError(f"no space is left on the disk for {what}") from error
        raise _make_unreachable_error(what) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise _make_unreachable_error(what) from error
    except Exception as error:
        # The HTTP library under huggingface_hub has changed before; its errors are known by their module.
        if type(error).__module__.split(".")[0] in ("httpx", "httpcore", "requests", "urllib3"):
            raise _make_unreachable_error(what) from error
        raise


class HubUnreachableError(ModelError):
    """The hub does not answer and its cache does not have the model."""


def _make_unreachable_error(what: str) -> HubUnreachableError:
    return HubUnreachableError(
        f"{what} is not on this machine and the hub is out of reach; give a local directory with --model"
    )
