"""How a model is tuned. One line per method: the name that users type → where its class lives.

Nothing is imported until a name is looked up (`methods.registry`), so listing methods is cheap.
To add a method, write one file in the folder that it belongs to and add one line here.
"""

from __future__ import annotations

METHODS: dict[str, str] = {
    "base": "methods.prompting.untouched:Untouched",
    "zero-shot": "methods.prompting.zero_shot:ZeroShot",
    "few-shot": "methods.prompting.few_shot:FewShot",
    "full": "methods.whole.full:Full",
    "instruction": "methods.whole.instruction:Instruction",
    "lora": "methods.adapters.lora:LoRA",
    "qlora": "methods.adapters.qlora:QLoRA",
    "dora": "methods.adapters.lora_variants:DoRA",
    "rslora": "methods.adapters.lora_variants:RSLoRA",
    "pissa": "methods.adapters.lora_variants:PiSSA",
    "lora-plus": "methods.adapters.lora_variants:LoRAPlus",
    "loftq": "methods.adapters.lora_variants:LoftQ",
    "prefix": "methods.adapters.prefix:Prefix",
    "adafactor": "methods.whole.optimisers:Adafactor",
    "adamw-8bit": "methods.whole.optimisers:AdamW8bit",
    "paged-adamw-8bit": "methods.whole.optimisers:PagedAdamW8bit",
    "galore": "methods.whole.galore:GaLore",
    "lomo": "methods.whole.lomo:LOMO",
    "adalomo": "methods.whole.lomo:AdaLOMO",
    "bitfit": "methods.partial.bitfit:BitFit",
    "layernorm": "methods.partial.layernorm:LayerNorm",
    "last-layers": "methods.partial.last_layers:LastLayers",
    "rlhf": "methods.rlhf.method:RLHF",
    "rloo": "methods.rlhf.algorithms:RLOO",
    "grpo": "methods.rlhf.algorithms:GRPO",
    "ppo": "methods.rlhf.algorithms:PPO",
    "dpo": "methods.preference.dpo:DPO",
    "kto": "methods.preference.kto:KTO",
    "orpo": "methods.preference.orpo:ORPO",
    "cpo": "methods.preference.cpo:CPO",
    "simpo": "methods.preference.simpo:SimPO",
    "toy": "methods.toy:Toy",
}

FAMILIES: tuple[str, ...] = ("methods.peft",)
"""Packages that bring many methods; their function `methods` gives them as a table like the one above."""
