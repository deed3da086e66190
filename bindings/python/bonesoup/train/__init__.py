"""Backbones by combined reward: TRL's GRPO per row of the backbone matrix (extra `train`)."""
