"""Language models with LoRA adapters: tuned and asked."""
