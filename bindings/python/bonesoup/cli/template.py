"""Chat templates: what a model folder says a conversation looks like to the model."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bonesoup.cli.failure import FormatError, UsageError


class Template:
    """A model folder's own chat template, rendered by jinja2 in its sandbox, with what transformers gives it."""

    def __init__(self, text: str, special: dict[str, str]) -> None:
        environment, self._errors = _environment()
        try:
            self._template = environment.from_string(text)
        except self._errors as error:
            raise FormatError(f"the chat template cannot be read: {error}") from None
        self._special = special

    @staticmethod
    def find(folder: Path) -> Template | None:
        """Return the template of chat_template.jinja or tokenizer_config.json; None where there is none."""
        config: dict[str, Any] = {}
        file = folder / "tokenizer_config.json"
        if file.exists():
            try:
                config = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise FormatError(f"{file} is not JSON: {error}") from None
            if not isinstance(config, dict):
                raise FormatError(f"{file} must be a JSON object")
        special = {"bos_token": "", "eos_token": ""}
        for name, token in config.items():
            text = token.get("content") if isinstance(token, dict) else token
            if name.endswith("_token") and isinstance(text, str):
                special[name] = text
        own = folder / "chat_template.jinja"
        text = own.read_text(encoding="utf-8") if own.exists() else config.get("chat_template")
        if isinstance(text, list):
            named = {entry.get("name"): entry.get("template") for entry in text if isinstance(entry, dict)}
            text = named.get("default")
        return Template(text, special) if isinstance(text, str) else None

    def render(self, messages: list[dict[str, str]]) -> str:
        """Return the conversation as the model's prompt for its next answer."""
        given = {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": True}
        try:
            return str(self._template.render(**given, **self._special))
        except (self._errors, TypeError, ValueError) as error:
            raise FormatError(f"the chat template fails: {error}") from None


def _environment() -> tuple[Any, type[Exception]]:
    """Return what templates are rendered in, and what they raise."""
    try:
        from jinja2 import TemplateError, nodes
        from jinja2.ext import Extension
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise UsageError("the chat template needs jinja2: pip install 'bonesoup[chat]'") from None

    class GenerationBlock(Extension):
        """`{% generation %}…{% endgeneration %}`, which marks the model's own words for training: only its content."""

        tags = {"generation"}  # noqa: RUF012, as jinja2 has it

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", GenerationBlock]
    )
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _strftime_now
    environment.filters["tojson"] = _to_json
    return environment, TemplateError


def _refuse(message: str) -> None:
    raise UsageError(f"the chat template refuses the conversation: {message}")


def _strftime_now(form: str) -> str:
    return datetime.datetime.now().strftime(form)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As JSON, without jinja2's escapes for HTML."""
    dumps: Callable[..., str] = json.dumps
    return dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
