"""`bonesoup chat`: a conversation in a terminal, with sliders."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import Any

from bonesoup.blend import Blend
from bonesoup.cli import options as common
from bonesoup.cli.failure import UsageError
from bonesoup.cli.info import base_folder
from bonesoup.cli.template import Template
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
    """Talk until /quit or the end of the input. As JSON, the conversation is one object at its end."""
    how = common.generate_options(options)
    if not options.json:
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
                if not options.json:
                    print()
    if options.json:
        common.print_json({"template": talk.template is not None, "turns": talk.turns})
    return 0


class _Talk:
    """The conversation so far, and the sliders."""

    def __init__(self, soup: Soup, choice: BlendChoice, template: Template | None) -> None:
        self.soup = soup
        self.template = template
        self._kind = choice.get("kind", "auto")
        self.blend: Blend = soup.blend(**choice)
        # As the JSON output has them; what was said before a /reset too.
        self.turns: list[dict[str, Any]] = []
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
            answer = self.blend.generate(self._text + line, **how)
            self._text += line + answer.text
        else:
            self._messages.append({"role": "user", "content": line})
            prompt = self.template.render(self._messages)
            # The template spells the special tokens itself.
            answer = self.blend.generate(prompt, **how, special=False, parse_special=True)
            self._messages.append({"role": "assistant", "content": answer.text})
        self.turns.append(
            {
                "user": line,
                "text": answer.text,
                "tokens": list(answer.tokens),
                "finish_reason": answer.finish_reason,
                "blend": common.describe(answer.blend),
                "stats": dataclasses.asdict(answer.stats),
            }
        )


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
