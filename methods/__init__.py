"""How a model is tuned. One line per method: the name that users type → where its class lives.

Nothing is imported until a name is looked up (`methods.registry`), so listing methods is cheap.
To add a method, write one file beside this one and add one line here.
"""

from __future__ import annotations

METHODS: dict[str, str] = {
    "base": "methods.untouched:Untouched",
    "zero-shot": "methods.zero_shot:ZeroShot",
    "few-shot": "methods.few_shot:FewShot",
    "full": "methods.full:Full",
    "instruction": "methods.instruction:Instruction",
    "lora": "methods.lora:LoRA",
    "qlora": "methods.qlora:QLoRA",
    "dora": "methods.lora_variants:DoRA",
    "rslora": "methods.lora_variants:RSLoRA",
    "pissa": "methods.lora_variants:PiSSA",
    "lora-plus": "methods.lora_variants:LoRAPlus",
    "loftq": "methods.lora_variants:LoftQ",
    "prefix": "methods.prefix:Prefix",
    "adafactor": "methods.optimisers:Adafactor",
    "adamw-8bit": "methods.optimisers:AdamW8bit",
    "paged-adamw-8bit": "methods.optimisers:PagedAdamW8bit",
    "galore": "methods.galore:GaLore",
    "lomo": "methods.lomo:LOMO",
    "adalomo": "methods.lomo:AdaLOMO",
    "bitfit": "methods.bitfit:BitFit",
    "layernorm": "methods.layernorm:LayerNorm",
    "last-layers": "methods.last_layers:LastLayers",
    "rlhf": "methods.rlhf.method:RLHF",
    "rloo": "methods.rlhf.algorithms:RLOO",
    "grpo": "methods.rlhf.algorithms:GRPO",
    "ppo": "methods.rlhf.algorithms:PPO",
    "dpo": "methods.dpo:DPO",
    "kto": "methods.kto:KTO",
    "orpo": "methods.orpo:ORPO",
    "cpo": "methods.cpo:CPO",
    "simpo": "methods.simpo:SimPO",
    "toy": "methods.toy:Toy",
}

FAMILIES: tuple[str, ...] = ("methods.peft_any",)
"""Packages that bring many methods; their function `methods` gives them as a table like the one above."""
