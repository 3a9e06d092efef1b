"""Methods that train small additions to a frozen model: LoRA and its variants, prefix tuning."""
