"""A reward that another process computes, over HTTP."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

from bonesoup.errors import Status, error
from bonesoup.rewards.registry import register
from bonesoup.rewards.reward import Row


@register("endpoint")
class Endpoint:
    """Posts ``{"prompts": […], "completions": […], "rows": […]}`` and reads ``{"scores": […]}`` or a plain list.

    Parameters
    ----------
    url
        http or https.
    headers
        Sent along.
    batch
        How many texts per request.
    timeout
        Seconds for one request.
    attempts
        How often a request is sent before its failure counts; the pause doubles from half a second.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        batch: int = 64,
        timeout: float = 60.0,
        attempts: int = 4,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise error(Status.INVALID_ARGUMENT, f"{url} is neither http nor https")
        self._url, self._headers = url, {"Content-Type": "application/json", **(headers or {})}
        self._batch, self._timeout, self._attempts = batch, timeout, max(1, attempts)

    def __call__(
        self, prompts: Sequence[str], completions: Sequence[str], rows: Sequence[Row] | None = None
    ) -> list[float]:
        """Return the server's numbers."""
        scores: list[float] = []
        for start in range(0, len(prompts), self._batch):
            part = slice(start, start + self._batch)
            scores += self._some(prompts[part], completions[part], None if rows is None else rows[part])
        return scores

    def _some(self, prompts: Sequence[str], completions: Sequence[str], rows: Sequence[Row] | None) -> list[float]:
        wish: dict[str, object] = {"prompts": list(prompts), "completions": list(completions)}
        if rows is not None:
            wish["rows"] = [dict(row) for row in rows]
        answer = self._post(json.dumps(wish).encode())
        scores = answer.get("scores") if isinstance(answer, dict) else answer
        if not isinstance(scores, list) or len(scores) != len(completions):
            raise error(Status.MALFORMED, f"{self._url} did not answer with {len(completions)} scores")
        if not all(isinstance(score, (int, float)) and not isinstance(score, bool) for score in scores):
            raise error(Status.MALFORMED, f"{self._url} answered with scores that are no numbers")
        return [float(score) for score in scores]

    def _post(self, body: bytes) -> object:
        for attempt in range(self._attempts):
            request = urllib.request.Request(self._url, body, self._headers)
            try:
                with urllib.request.urlopen(request, timeout=self._timeout) as response:
                    return json.load(response)
            except urllib.error.HTTPError as failure:
                # What the server refuses it will refuse again.
                if failure.code < 500 and failure.code != 429 or attempt + 1 == self._attempts:
                    raise error(Status.IO, f"{self._url} answered {failure.code} {failure.reason}") from None
            except json.JSONDecodeError as failure:
                raise error(Status.MALFORMED, f"{self._url} did not answer in JSON: {failure}") from None
            except OSError as failure:
                if attempt + 1 == self._attempts:
                    raise error(Status.IO, f"{self._url}: {failure}") from None
            time.sleep(0.5 * 2**attempt)
        raise error(Status.IO, f"{self._url} did not answer")
