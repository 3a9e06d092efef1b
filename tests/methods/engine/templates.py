"""Chat templates in the conventions that models have, and the small tokenizers that go with them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

LOOP = "{% for m in messages %}"
CHATML = LOOP + (
    "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HEADERS = (
    "<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
HEADER_TOKENS = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")


@dataclass(frozen=True)
class Convention:
    """One model's way of writing a chat."""

    name: str
    template: str
    prompt: str
    """The prompt of the text ` Hi` (which some trim)."""
    end: str
    """What training teaches after an answer, as text."""
    stops: tuple[str, ...] = ("</s>",)
    """The tokens that stop an answer."""
    stop_text: str | None = None
    tokens: tuple[str, ...] = ()
    """Special tokens besides the usual ones."""
    unusual: bool = False
    """Whether something is said of its end."""


CONVENTIONS = (
    Convention(
        "llama-2",
        LOOP + "{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + m['content'].strip() + ' [/INST]' }}"
        "{% else %}{{ ' ' + m['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
        prompt="<s>[INST] Hi [/INST]",
        end="</s>",
    ),
    Convention(
        "llama-3",
        "{{ bos_token }}" + LOOP + HEADERS,
        prompt="<s><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        end="<|eot_id|>",
        stops=("</s>", "<|eot_id|>"),
        tokens=HEADER_TOKENS,
    ),
    Convention(
        "mistral",
        "{{ bos_token }}" + LOOP + "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
        "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
        "{% else %}{{ m['content'] + eos_token}}{% endif %}{% endfor %}",
        prompt="<s>[INST]  Hi [/INST]",
        end="</s>",
        tokens=("[INST]", "[/INST]"),
    ),
    Convention(
        "mistral-tekken",
        "{{- bos_token }}\n{%- for m in messages %}\n{%- if m['role'] == 'user' %}\n"
        "{{- '[INST]' + m['content'] + '[/INST]' }}\n"
        "{%- elif m['role'] == 'assistant' %}\n{{- m['content'] + eos_token }}\n{%- else %}\n"
        "{{- raise_exception('Only user and assistant roles are supported!') }}\n{%- endif %}\n{%- endfor %}\n",
        prompt="<s>[INST] Hi[/INST]",
        end="</s>",
        tokens=("[INST]", "[/INST]"),
    ),
    Convention(
        "chatml",
        CHATML,
        prompt="<|im_start|>user\n Hi<|im_end|>\n<|im_start|>assistant\n",
        end="<|im_end|>",
        stops=("</s>", "<|im_end|>"),
        tokens=("<|im_start|>", "<|im_end|>"),
    ),
    Convention(
        "chatml-in-pieces",
        CHATML,
        prompt="<|im_start|>user\n Hi<|im_end|>\n<|im_start|>assistant\n",
        end="<|im_end|>",
        stop_text="<|im_end|>",
        unusual=True,
    ),
    Convention(
        "qwen",
        "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are Qwen.<|im_end|>\n{% endif %}"
        + CHATML,
        prompt="<|im_start|>system\nYou are Qwen.<|im_end|>\n<|im_start|>user\n Hi<|im_end|>\n<|im_start|>assistant\n",
        end="<|im_end|>",
        stops=("</s>", "<|im_end|>"),
        tokens=("<|im_start|>", "<|im_end|>"),
    ),
    Convention(
        "qwen-thinking",
        "{%- for m in messages %}\n{%- if m.role == 'user' %}\n"
        "{{- '<|im_start|>user\\n' + m.content + '<|im_end|>\\n' }}\n"
        "{%- else %}\n{%- set content = m.content %}\n{%- if '</think>' in content %}\n"
        "{%- set content = content.split('</think>')[-1].lstrip('\\n') %}\n{%- endif %}\n"
        "{%- if loop.last %}\n{{- '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' + content }}\n"
        "{%- else %}\n{{- '<|im_start|>assistant\\n' + content }}\n{%- endif %}\n{{- '<|im_end|>\\n' }}\n{%- endif %}\n"
        "{%- endfor %}\n{%- if add_generation_prompt %}\n{{- '<|im_start|>assistant\\n<think>\\n' }}\n{%- endif %}",
        prompt="<|im_start|>user\n Hi<|im_end|>\n<|im_start|>assistant\n<think>\n",
        end="<|im_end|>",
        stops=("</s>", "<|im_end|>"),
        tokens=("<|im_start|>", "<|im_end|>"),
    ),
    Convention(
        "phi",
        LOOP + "<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}",
        prompt="<|user|>\n Hi<|end|>\n<|assistant|>\n",
        end="<|end|>",
        stops=("</s>", "<|end|>"),
        tokens=("<|user|>", "<|assistant|>", "<|end|>"),
    ),
    Convention(
        "glm",
        "[gMASK]<sop>" + LOOP + "<|{{ m['role'] }}|>\n{{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
        prompt="[gMASK]<sop><|user|>\n Hi<|assistant|>\n",
        end="<|user|>",
        stops=("</s>", "<|user|>"),
        tokens=("[gMASK]", "<sop>", "<|user|>", "<|assistant|>"),
        unusual=True,
    ),
    Convention(
        "gemma",
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}"
        + LOOP
        + "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
        "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}",
        prompt="<s><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n",
        end="<end_of_turn>",
        stops=("</s>", "<end_of_turn>"),
        tokens=("<start_of_turn>", "<end_of_turn>"),
    ),
    Convention(
        "zephyr",
        LOOP + "\n{% if m['role'] == 'user' %}\n{{ '<|user|>\n' + m['content'] + eos_token }}\n"
        "{% elif m['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + m['content'] + eos_token }}\n{% endif %}\n"
        "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
        prompt="<|user|>\n Hi</s>\n<|assistant|>\n",
        end="</s>",
    ),
    Convention(
        "alpaca",
        "Below is an instruction.\n\n" + LOOP + "{% if m['role'] == 'user' %}### Instruction:\n{{ m['content'] }}\n\n"
        "{% else %}### Response:\n{{ m['content'] }}\n\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}### Response:\n{% endif %}",
        prompt="Below is an instruction.\n\n### Instruction:\n Hi\n\n### Response:\n",
        end="</s>",
        stop_text="\n### Instruction:",
        unusual=True,
    ),
    Convention(
        "alpaca-with-end",
        LOOP + "{% if m['role'] == 'user' %}### Instruction:\n{{ m['content'] }}\n\n"
        "{% else %}### Response:\n{{ m['content'] }}{{ eos_token }}\n\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}### Response:\n{% endif %}",
        prompt="### Instruction:\n Hi\n\n### Response:\n",
        end="</s>",
    ),
    Convention(
        "vicuna",
        "A chat.{% for m in messages %}{% if m['role'] == 'user' %} USER: {{ m['content'] }}"
        "{% else %} ASSISTANT: {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %} ASSISTANT:{% endif %}",
        prompt="A chat. USER:  Hi ASSISTANT:",
        end="</s>",
    ),
    Convention(
        "deepseek",
        "{{ bos_token }}" + LOOP + "{% if m['role'] == 'user' %}{{ '<｜User｜>' + m['content'] }}"
        "{% else %}{{ '<｜Assistant｜>' + m['content'].split('</think>')[-1] + '<｜end▁of▁sentence｜>' }}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}",
        prompt="<s><｜User｜> Hi<｜Assistant｜><think>\n",
        end="<｜end▁of▁sentence｜>",
        stops=("</s>", "<｜end▁of▁sentence｜>"),
        tokens=("<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
    ),
    Convention(
        "end-between-turns-only",
        LOOP + "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}{% if not loop.last or m['role'] == 'user' %}"
        "<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        prompt="<|im_start|>user\n Hi<|im_end|>\n<|im_start|>assistant\n",
        end="<|im_end|>",
        stops=("</s>", "<|im_end|>"),
        tokens=("<|im_start|>", "<|im_end|>"),
    ),
    Convention(
        "always-begins-an-answer",
        LOOP + "<|{{ m['role'] }}|>\n{{ m['content'] }}\n{% endfor %}<|assistant|>",
        prompt="<|user|>\n Hi\n<|assistant|>",
        end="<|user|>",
        stops=("</s>", "<|user|>"),
        tokens=("<|user|>", "<|assistant|>"),
        unusual=True,
    ),
    Convention(
        "text-then-token",
        LOOP + "{{ m['role'] }}: {{ m['content'] }}\n--- end ---\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% else %}{{ eos_token }}{% endif %}",
        prompt="user:  Hi\n--- end ---\nassistant: ",
        end="--- end ---",
        stop_text="--- end ---",
        unusual=True,
    ),
    Convention(
        "quotation-marks",
        LOOP + "{{ m['role'] }}: \"{{ m['content'] }}\"\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: \"{% endif %}",
        prompt="user: \" Hi\"\nassistant: \"",
        end="</s>",
        unusual=True,
    ),
    Convention(
        "no-end-at-all",
        LOOP + "{{ m['content'] }}\n{% endfor %}",
        prompt=" Hi\n",
        end="</s>",
        unusual=True,
    ),
)  # fmt: skip


@functools.cache
def _train_tokenizer(specials: tuple[str, ...]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(["the quick brown fox jumps over the lazy dog"] * 4, trainer)
    return raw


def make_tokenizer(template: str | None, tokens: tuple[str, ...] = ()) -> Any:
    """A byte-level tokenizer with this chat template, for which these are special tokens, too."""
    from transformers import PreTrainedTokenizerFast

    raw = _train_tokenizer(("<pad>", "<s>", "</s>", *tokens))
    named = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    made = PreTrainedTokenizerFast(tokenizer_object=raw, additional_special_tokens=list(tokens), **named)
    made.chat_template = template
    return made
