"""LoRA fine-tuning of members and moderators."""
