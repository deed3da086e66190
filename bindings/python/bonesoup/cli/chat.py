"""`bonesoup chat`: a conversation in a terminal, with sliders."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bonesoup.blend import Blend
from bonesoup.cli import options as common
from bonesoup.cli.failure import FormatError, UsageError
from bonesoup.cli.info import base_folder
from bonesoup.errors import BoneSoupError
from bonesoup.options import BlendChoice
from bonesoup.soup import Soup

_HELP = "/NAME X moves a slider, /show shows them, /reset begins anew, /quit ends"


def declare(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("chat", help="talk, and move sliders on the way")
    common.add_model(command)
    common.add_blend(command)
    common.add_sampling(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Talk until /quit or the end of the input."""
    if options.json:
        raise UsageError("chat is for people: it has no --json")
    how = common.generate_options(options)
    how["on_text"] = _show
    with common.open_soup(options) as soup:
        talk = _Talk(soup, common.blend_choice(options), Template.find(base_folder(options.soup)))
        print(_HELP, file=sys.stderr)
        if talk.template is None:
            print("the model has no chat template: what you write is continued plainly", file=sys.stderr)
        while (line := _ask()) is not None:
            if line.startswith("/"):
                if line.strip() == "/quit":
                    break
                _answer_command(talk, line)
            elif line:
                talk.say(line, how)
                print()
    return 0


class Template:
    """A model folder's own chat template, rendered by jinja2 in its sandbox."""

    def __init__(self, text: str, special: dict[str, str]) -> None:
        try:
            from jinja2 import TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError:
            raise UsageError("the chat template needs jinja2: pip install 'bonesoup[chat]'") from None
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _raise
        self._errors = TemplateError
        try:
            self._template = environment.from_string(text)
        except TemplateError as error:
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
        special = {}
        for name in ("bos_token", "eos_token"):
            token = config.get(name)
            special[name] = str(token["content"] if isinstance(token, dict) else token or "")
        own = folder / "chat_template.jinja"
        text = own.read_text(encoding="utf-8") if own.exists() else config.get("chat_template")
        if isinstance(text, list):
            text = next((entry["template"] for entry in text if entry.get("name") == "default"), None)
        return Template(text, special) if isinstance(text, str) else None

    def render(self, messages: list[dict[str, str]]) -> str:
        """Return the conversation as the model's prompt for its next answer."""
        try:
            return str(self._template.render(messages=messages, add_generation_prompt=True, **self._special))
        except (self._errors, TypeError, ValueError) as error:
            raise FormatError(f"the chat template fails: {error}") from None


class _Talk:
    """The conversation so far, and the sliders."""

    def __init__(self, soup: Soup, choice: BlendChoice, template: Template | None) -> None:
        self.soup = soup
        self.template = template
        self._kind = choice.get("kind", "auto")
        self.blend: Blend = soup.blend(**choice)
        self._messages: list[dict[str, str]] = []
        self._text = ""

    def reset(self) -> None:
        """Forget what was said."""
        self._messages.clear()
        self._text = ""

    def move(self, name: str, value: float) -> None:
        """Move one slider; the others share the rest in their proportions."""
        preference = self.blend.preference
        if preference is None:
            raise UsageError("the blend was made from coefficients, which have no sliders; start with --preference")
        moved = self.soup.move_slider(preference, name, value)
        old = self.blend
        self.blend = self.soup.blend(preference=moved, kind=self._kind)
        old.close()

    def say(self, line: str, how: Any) -> None:
        """Add a line of the user's and write the answer."""
        if self.template is None:
            prompt = self._text + line
            self._text = prompt + self.blend.generate(prompt, **how).text
            return
        self._messages.append({"role": "user", "content": line})
        prompt = self.template.render(self._messages)
        # The template spells the special tokens itself.
        answer = self.blend.generate(prompt, **how, special=False, parse_special=True).text
        self._messages.append({"role": "assistant", "content": answer})


def _answer_command(talk: _Talk, line: str) -> None:
    name, _, rest = line[1:].strip().partition(" ")
    try:
        if name == "reset":
            talk.reset()
        elif name != "show":
            talk.move(name, float(rest))
        preference = talk.blend.preference or {}
        print(", ".join(f"{key} {part:.3g}" for key, part in preference.items()) or _HELP, file=sys.stderr)
    except (BoneSoupError, UsageError, LookupError) as error:
        print(f"{error}; {_HELP}", file=sys.stderr)
    except ValueError:
        print(f"“{rest}” is no number; {_HELP}", file=sys.stderr)


def _ask() -> str | None:
    if sys.stdin.isatty():
        try:
            return input("> ")
        except EOFError:
            return None
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _raise(message: str) -> None:
    raise UsageError(f"the chat template refuses the conversation: {message}")
