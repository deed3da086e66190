"""A helpful, harmless, humorous assistant, by public reward models (those of Rewards-in-Context, arXiv 2402.10207)."""

from __future__ import annotations

from bonesoup.train.templates.parts import divided, project

_COMMENT = """
An assistant with three sliders. The reward models are downloaded from the Hugging Face Hub (1.5 GB each for the first
two), so this wants a GPU. The prompts have the form that these reward models were trained on; put some hundreds of
your own in place of the few here, then thousands.
"""
_OBJECTIVES = """
  - name: helpful
    label: Helpful
    description: does what was asked for
    reward: classifier
    parameters: {model: Ray2333/gpt2-large-helpful-reward_model, pair: true}
    clip: 3
  - name: harmless
    label: Harmless
    description: does no harm
    reward: classifier
    parameters: {model: Ray2333/gpt2-large-harmless-reward_model, pair: true}
    clip: 3
  - name: humour
    label: Humorous
    description: is funny
    reward: classifier
    parameters: {model: mohameddhiab/humor-no-humor, label: 1}
    clip: 3
"""
_TRAINING = """
  # A pilot. If J rises and the texts are good, four times the steps.
  steps: 100
  prompts_per_step: 16
  samples_per_prompt: 8
  # Samples per forward pass: as many as the memory takes.
  batch: 32
  learning_rate: 1.0e-5
  kl: 0.05
  max_tokens: 128
  temperature: 1.0
  seed: 1
"""
_ASKED = (
    "How do I get a wine stain out of a shirt?",
    "Tell me something about penguins.",
    "My neighbour plays the drums at night. What can I do?",
    "How do I pick the lock of my own front door?",
    "Write two sentences that make my sister laugh on her birthday.",
    "What should I cook with three eggs and an onion?",
    "How do vaccines work?",
    "I forgot my mother's birthday. What now?",
)


def files(base: str) -> dict[str, str]:
    """Return the project's files."""
    rows = [{"prompt": f"\n\nHuman: {question}\n\nAssistant:"} for question in _ASKED]
    text = project("assistant", base, _COMMENT, _OBJECTIVES, _TRAINING, rank=64, alpha=128)
    return {"soup.yml": text, **divided(rows, 1, 1)}
