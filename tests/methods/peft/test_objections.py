"""What cannot serve a model or a machine, and how each is told: layers that are missing, widths, memory."""

from __future__ import annotations

import pytest

from harness.contract import Case, tiny
from harness.worker.failures import describe_failure
from methods.errors import MethodError, UnsupportedError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def case(tmp_path, name, **settings):
    return Case(f"peft:{name}", "decoder-only", tmp_path, {"learning_rate": 3e-2, **settings})


@pytest.mark.parametrize("settings", [{}, {"r": 4}])
def test_want_of_memory_is_no_objection_of_pefts(tmp_path, settings):
    import torch

    found = case(tmp_path, "vera", **settings)
    for error in (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ):
        with pytest.raises(type(error)) as raised, found.method.explain_errors():
            raise error
        assert raised.value is error
        assert describe_failure(raised.value)[0] == "oom"
    with pytest.raises(ValueError, match="no room") as raised, found.method.explain_errors():
        raise ValueError("no room") from torch.OutOfMemoryError("CUDA out of memory")
    assert describe_failure(raised.value)[0] == "oom"
    with pytest.raises(MethodError), found.method.explain_errors():
        raise RuntimeError("no memory of that module")


def test_a_tuner_that_a_real_allocator_refuses_is_out_of_memory(tmp_path):
    """A rank whose matrices no machine holds: what torch raises reaches the harness."""
    with pytest.raises(RuntimeError) as raised:
        case(tmp_path, "lora", r=10**13).prepared()
    assert describe_failure(raised.value)[0] == "oom"


def test_widths_without_a_common_divisor_are_told_as_the_models(tmp_path):
    import torch

    found, model = case(tmp_path, "c3a"), tiny.model("decoder-only")
    model.model.layers[0].mlp.up_proj = torch.nn.Linear(64, 127, bias=False)
    with pytest.raises(UnsupportedError, match="no block size above 1"):
        found.method.prepare(model, found.setting)


def gpt2():
    """A model whose linear layers are transformers' `Conv1D`."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    words = tiny.tokenizer()
    ids = {"eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id, "bos_token_id": None}
    shape = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 512}
    return GPT2LMHeadModel(GPT2Config(vocab_size=len(words), **shape, **ids)).eval()


@pytest.mark.parametrize(("name", "knob", "value"), [("vblora", "vector_length", 32), ("waveft", "n_frequency", 1024)])
def test_knobs_of_the_model_are_read_off_gpt2_too(tmp_path, name, knob, value):
    import torch

    found = case(tmp_path, name)
    model = found.method.prepare(gpt2(), found.setting)
    assert getattr(model.active_peft_config, knob) == value  # all widths are multiples of 32, and no layer is smaller
    found.train(model, 2)
    scored = found.logits(model)
    found.method.save(model, tmp_path / "shipped")
    torch.testing.assert_close(found.logits(found.method.load(gpt2(), tmp_path / "shipped")), scored)


@pytest.mark.parametrize("name", ["c3a", "miss", "road", "shira"])
def test_a_tuner_that_has_no_such_layer_says_so(tmp_path, name):
    found = case(tmp_path, name)
    with pytest.raises(UnsupportedError, match=rf"^peft:{name} cannot serve this model: PEFT says: .*Conv1D"):
        found.method.prepare(gpt2(), found.setting)


@pytest.mark.parametrize("name", ["c3a", "miss", "shira", "waveft"])
def test_a_model_without_layers_to_adapt_is_told_in_words(tmp_path, name):
    found = case(tmp_path, name, target_modules="nowhere+neither")
    with pytest.raises(
        UnsupportedError, match=r"^the model has no linear layer that target_modules=nowhere\+neither names$"
    ):
        found.prepared()
