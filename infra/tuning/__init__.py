"""Teaching members and the moderator: LoRA, grids, cards."""
