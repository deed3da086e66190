"""A transformers sequence classifier as a reward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bonesoup.errors import Status, error
from bonesoup.rewards.registry import register
from bonesoup.train import processes
from bonesoup.train.extras import need


@register("classifier")
class Classifier:
    """Scores text by a sequence classifier: a reward model with one output, or one label of several.

    Parameters
    ----------
    model
        A folder or a name on the Hugging Face Hub.
    label
        The name or number of the label that is rewarded, of a model with several; its log-probability is the score.
    sign
        −1 rewards the opposite.
    pair
        Whether the prompt goes in as the first text and the completion as the second; else both as one text.
    chat
        Whether the tokenizer's chat template makes the text, as many reward models want.
    batch
        How many texts at once.
    device
        Default: a GPU where there is one, of several each process its own.
    """

    def __init__(
        self,
        model: str,
        label: str | int | None = None,
        *,
        sign: float = 1.0,
        pair: bool = False,
        chat: bool = False,
        batch: int = 32,
        max_length: int = 1024,
        device: str | None = None,
    ) -> None:
        self._torch = need("torch")
        transformers = need("transformers")
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(model)
        self._device = device or processes.device()
        self._model = transformers.AutoModelForSequenceClassification.from_pretrained(model).eval().to(self._device)
        config = self._model.config
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        config.pad_token_id = self._tokenizer.pad_token_id
        self._label = self._number(model, label, config)
        self._sign, self._pair, self._chat, self._batch, self._longest = sign, pair, chat, batch, max_length

    @staticmethod
    def _number(model: str, label: str | int | None, config: Any) -> int | None:
        if config.num_labels == 1:
            return None
        numbers = {str(name).lower(): number for name, number in config.label2id.items()}
        if isinstance(label, int) and 0 <= label < config.num_labels:
            return label
        if isinstance(label, str) and label.lower() in numbers:
            return int(numbers[label.lower()])
        raise error(Status.NOT_FOUND, f"{model} has no label {label}; it has {', '.join(numbers)}")

    def __call__(self, prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
        """Return the output, or the label's log-probability."""
        scores: list[float] = []
        for start in range(0, len(prompts), self._batch):
            part = slice(start, start + self._batch)
            scores += self._some(list(prompts[part]), list(completions[part]))
        return scores

    def _some(self, prompts: list[str], completions: list[str]) -> list[float]:
        if self._pair:
            texts: tuple[list[str], ...] = (prompts, completions)
        elif self._chat:
            texts = ([self._conversation(*both) for both in zip(prompts, completions)],)
        else:
            texts = ([prompt + completion for prompt, completion in zip(prompts, completions)],)
        # A chat template writes the special tokens itself.
        inputs = self._tokenizer(
            *texts,
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self._longest,
            add_special_tokens=not self._chat,
        ).to(self._device)
        with self._torch.inference_mode():
            outputs = self._model(**inputs).logits.float()
        chosen = outputs[:, 0] if self._label is None else outputs.log_softmax(-1)[:, self._label]
        return [self._sign * float(value) for value in chosen.tolist()]

    def _conversation(self, prompt: str, completion: str) -> str:
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
        return str(self._tokenizer.apply_chat_template(turns, tokenize=False))
