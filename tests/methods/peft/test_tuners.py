"""Steps that single tuners need: schedules, starts, soft prompts, and what is said where one cannot serve."""

from __future__ import annotations

import dataclasses
import time

import pytest

from harness.contract import Case, tiny
from harness.contract.cases import facts
from harness.planning.identity import CodeInputs, hash_training_code
from methods.base import Budget, ModelFacts, TrainingJob
from methods.errors import InvalidSettingError
from methods.peft.adalora import PARTS
from methods.peft.soft_prompts import insert_prompt
from methods.registry import build, get

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def case(tmp_path, name, family="decoder-only", **settings):
    return Case(f"peft:{name}", family, tmp_path, {"learning_rate": 3e-2, **settings})


def job(model, budget, dtype, emit=lambda event: None, clock=time.monotonic):
    return TrainingJob(
        model=model,
        tokenizer=tiny.tokenizer(),
        facts=facts("decoder-only"),
        examples=tiny.EXAMPLES,
        validation=(),
        templates=tiny.TEMPLATES,
        budget=budget,
        limits=tiny.LIMITS,
        batch_size=8,
        accumulation=1,
        seed=0,
        dtype=dtype,
        emit=emit,
        clock=clock,
    )


def allocations(tmp_path, monkeypatch, spent, **settings):
    """Steps that AdaLoRA's tuner is told where the share of the budget that is spent grows like this."""
    told = []
    found = case(tmp_path, "adalora", **settings)
    model = found.prepared()
    monkeypatch.setattr(model.base_model, "update_and_allocate", told.append, raising=True)
    for step, progress in enumerate(spent, 1):
        found.method.after_step(model, step, progress)
    return told


@pytest.mark.parametrize("steps", [1, 2, 7, 999, 1000, 3001])
def test_adalora_makes_its_final_allocation_once_whatever_the_budget(tmp_path, monkeypatch, steps):
    told = allocations(tmp_path, monkeypatch, [step / steps for step in range(1, steps + 1)])
    final = PARTS - 100
    assert told.count(final) == 1
    assert told == sorted(told)
    assert told[-1] == (PARTS if steps > 1000 / 100 else final)  # the last step may be the first beyond the final
    assert len(told) == steps + (steps == 1)  # something has to be scored before


def test_adalora_masks_at_its_interval_though_steps_jump_over_it(tmp_path, monkeypatch):
    told = allocations(tmp_path, monkeypatch, [0.013, 0.027, 0.029, 0.041], deltaT=20)
    assert told == [13, 20, 29, 40]


def test_adalora_ends_with_the_ranks_that_it_aims_at(tmp_path):
    found = case(tmp_path, "adalora", target_r=2, init_r=4)
    model = found.prepared()
    found.train(model, 12)
    values = [p for name, p in model.named_parameters() if "lora_E" in name]
    assert sum(int((value != 0).sum()) for value in values) == 2 * len(values)


def test_adalora_minimises_its_regulariser(tmp_path):
    loose, tight = (case(tmp_path, "adalora", orth_reg_weight=weight) for weight in (0.0, 5.0))
    left = []
    for found in (loose, tight):
        model = found.prepared()
        found.train(model, 20)
        left.append(float(tight.method.penalty(model)))
    assert left[1] < 0.7 * left[0]


def test_adalora_refuses_a_schedule_longer_than_the_budget():
    with pytest.raises(InvalidSettingError, match=r"peft:adalora: tinit and tfinal must sum to less than 1000"):
        build("peft:adalora", {"tinit": 600, "tfinal": 400})


def test_what_is_not_driven_is_refused():
    with pytest.raises(InvalidSettingError, match=r"peft:adamss\.use_asa: adaptive allocation is not supported"):
        build("peft:adamss", {"use_asa": True})
    with pytest.raises(InvalidSettingError, match=r"peft:lora\.layers_to_transform: give int values joined by \+"):
        build("peft:lora", {"layers_to_transform": "0+two"})


@pytest.mark.parametrize("name", ["prompt_tuning", "p_tuning", "multitask_prompt_tuning", "cpt"])
def test_a_soft_prompt_stands_between_pads_and_text(tmp_path, name):
    import torch

    found = case(tmp_path, name)
    model = found.prepared()
    virtual = model.active_peft_config.num_virtual_tokens
    ids = torch.tensor([[0, 0, 5, 6], [7, 8, 9, 10]])
    with torch.no_grad():
        embeddings, mask = insert_prompt(model, ids, torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]]))
        text, prompt = model.word_embeddings(ids), model.get_prompt(2, task_ids=ids.new_zeros(2))
    assert mask.sum(dim=1).tolist() == [virtual + 2, virtual + 4]
    assert mask[0, :3].tolist() == [0, 0, 1]
    assert torch.equal(embeddings[0], torch.cat([text[0, :2], prompt[0], text[0, 2:]]))
    assert torch.equal(embeddings[1], torch.cat([prompt[1], text[1]]))


@pytest.mark.parametrize("name", ["prompt_tuning", "p_tuning"])
def test_pefts_own_generation_depends_on_padding_and_ours_does_not(tmp_path, name):
    import torch

    found = case(tmp_path, name, learning_rate=0.3)
    model = found.prepared()
    found.train(model, 2)
    alone = found.first_logits(model, 1)
    assert (found.first_logits(model, 6) - alone).abs().max() < 1e-4
    batch = found.encoder.generation_batch(found._prompts)
    told = {"max_new_tokens": 1, "do_sample": False, "output_logits": True, "return_dict_in_generate": True}
    with torch.inference_mode():
        wrong = model.generate(**batch, **told).logits[0]
    assert (wrong - alone).abs().max() > 1e-2


def test_generated_ids_stand_behind_the_prompt_and_beams_keep_theirs(tmp_path):
    import torch

    found = case(tmp_path, "prompt_tuning")
    model = found.prepared()
    batch = found.encoder.generation_batch(found._prompts[:3])
    told = {"max_new_tokens": 3, "do_sample": False, "num_beams": 2, "num_return_sequences": 2}
    with torch.inference_mode():
        ids = found.method.generate(model, batch, **told)
    assert torch.equal(ids[:, : batch["input_ids"].shape[1]], batch["input_ids"].repeat_interleave(2, 0))
    assert ids.shape[0] == 6


def test_context_prompts_are_training_examples_and_stay_near_them(tmp_path):
    found = case(tmp_path, "cpt", context_examples=2, learning_rate=1.0)
    model = found.prepared()
    config = model.active_peft_config
    rows = [found.encoder.encode(found.method.write(example, tiny.TEMPLATES, 0)) for example in tiny.EXAMPLES[:2]]
    assert config.cpt_token_ids == [token for row in rows for token in row.prompt + row.response]
    found.train(model, 4)
    encoder = model.prompt_encoder["default"]
    moved = encoder.delta_embedding.weight.norm(dim=1)
    assert moved.max() <= encoder.get_epsilon().max() * 1.001
    assert moved.max() > 0
    answers = [i for i, kind in enumerate(config.cpt_tokens_type_mask) if kind == 4]
    assert moved[answers].max() < 1e-6


def test_training_goes_on_after_an_evaluation_amid_it(tmp_path):
    for name in ("cpt", "prompt_tuning", "adalora", "cartridge"):
        found = case(tmp_path, name)
        model = found.prepared()
        found.answers(model, 3)  # in inference mode, as a learning curve measures
        model.train()
        assert found.train(model, 2)[-1].progress == 1


@pytest.mark.parametrize("budget", [Budget("tokens", 3000), Budget("epochs", 1.5), Budget("minutes", 1.0)])
def test_adalora_ends_its_schedule_with_budgets_that_know_no_steps(tmp_path, budget):
    import torch

    found = case(tmp_path, "adalora")
    model = found.prepared()
    seconds = iter(range(0, 10_000, 7))
    found.method.train(job(model, budget, torch.float32, clock=lambda: float(next(seconds))))
    assert model.base_model.schedule_step >= PARTS - found.method.config.tfinal
    assert model.peft_config["default"].rank_pattern


def test_a_tuner_for_some_architectures_is_unsupported_on_others_before_anything_is_loaded():
    opt, llama = (ModelFacts("x", "decoder-only", name, "cpu") for name in ("OPTForCausalLM", "LlamaForCausalLM"))
    assert build("peft:adaption_prompt").unsupported(llama) is None
    assert build("peft:adaption_prompt").unsupported(opt) == (
        "peft:adaption_prompt is made for GPT2LMHeadModel, LlamaForCausalLM, MistralForCausalLM; x is OPTForCausalLM"
    )


def test_what_cannot_serve_says_so_before_a_model_is_loaded():
    assert "works on decoder-only models" in build("peft:adaption_prompt").unsupported(facts("encoder-decoder"))
    assert "trained before" in build("peft:xlora").unsupported(facts("decoder-only"))
    assert "on cuda only" in build("peft:lora", {"init_lora_weights": "loftq"}).unsupported(facts("decoder-only"))
    assert build("peft:loftq").unsupported(ModelFacts("x", "toy", "T", "cuda")).startswith("peft:loftq")


def test_a_missing_package_is_named(monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "sklearn" else find(name, *rest)
    )
    reason = build("peft:adamss").unsupported(facts("decoder-only"))
    assert reason == "peft:adamss needs the package scikit-learn: pip install scikit-learn"


def test_what_peft_objects_to_is_told_as_a_setting_or_as_the_models(tmp_path):
    with pytest.raises(InvalidSettingError, match=r"peft:c3a\.block_size: PEFT says: .*7"):
        case(tmp_path, "c3a", block_size=7).prepared()
    with pytest.raises(InvalidSettingError, match=r"peft:lora\.target_modules: PEFT says: .*nowhere"):
        case(tmp_path, "lora", target_modules="nowhere").prepared()


@pytest.mark.parametrize("name", ["dora", "peft:dora"])
def test_dora_serves_weights_with_rows_of_zeros(tmp_path, name):
    import torch

    found, model = Case(name, "decoder-only", tmp_path, {"learning_rate": 3e-2}), tiny.model("decoder-only")
    model.model.layers[0].self_attn.q_proj.weight.data[:5] = 0.0
    base = found.logits(model)
    model = found.method.prepare(model, found.setting)
    torch.testing.assert_close(found.logits(model), base, rtol=1e-4, atol=1e-4)
    events = found.train(model, 4)
    assert events[-1].loss < events[0].loss


def test_knobs_reach_peft(tmp_path):
    model = case(tmp_path, "vera", r=16, target_modules="q_proj+v_proj").prepared()
    config = model.peft_config["default"]
    assert (config.r, set(config.target_modules)) == (16, {"q_proj", "v_proj"})
    adapted = {name.split(".")[-2] for name, p in model.named_parameters() if p.requires_grad}
    assert adapted


def test_tuners_of_one_driver_have_the_same_code():
    from methods.peft import method

    hashes = {
        name: hash_training_code(get(name), CodeInputs("transformers")) for name in ("peft:vera", "peft:oft", "lora")
    }
    assert hashes["peft:vera"] == hashes["peft:oft"] != hashes["lora"]
    assert get("peft:vera") is get("peft:vera")
    assert method.PeftMethod in get("peft:vera").__mro__


def test_tuners_with_float32_parts_fit_a_16_bit_base(tmp_path):
    import torch

    for name in ("oft", "boft", "psoft", "ln_tuning", "adaption_prompt", "prompt_tuning", "adalora", "fourierft"):
        found = case(tmp_path, name)
        model = found.base().to(torch.bfloat16)
        setting = dataclasses.replace(found.setting, dtype=torch.bfloat16)
        model = found.method.prepare(model, setting)
        events = []
        found.method.train(job(model, Budget("steps", 2), torch.bfloat16, emit=events.append))
        assert len(events) == 2
        assert found.answers(model, 3), name


@pytest.mark.parametrize("name", ["oft", "boft", "psoft"])
def test_float32_parts_are_float32_again_in_a_model_that_is_read_again(tmp_path, name):
    import torch

    found = case(tmp_path, name)
    setting = dataclasses.replace(found.setting, dtype=torch.bfloat16)
    model = found.method.prepare(found.base().to(torch.bfloat16), setting)
    found.method.train(job(model, Budget("steps", 3), torch.bfloat16))
    found.method.save(model, tmp_path / "shipped")
    again = found.method.load(found.base().to(torch.bfloat16), tmp_path / "shipped").eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        trained, read = found.logits(model.eval()), found.logits(again)
    torch.testing.assert_close(read.float(), trained.float(), rtol=0, atol=0.05)
