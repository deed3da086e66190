"""The command `bonesoup`, as a person or a script runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bonesoup.cli.licence import licence
from bonesoup.cli.template import Template
from support import FIXTURES, MODELS, SOUPS

PACKAGE = Path(__file__).parent.parent
MODEL = str(MODELS / "llama3")
FULL = str(SOUPS / "llama3-full")
LORA = str(SOUPS / "llama3-lora")
BLEND = {
    "preference",
    "coefficients",
    "base_share",
    "condition",
    "kind",
    "weights",
    "adjustments",
    "memory",
    "fingerprint",
}
# Every command with the keys that its JSON is documented to have.
COMMANDS: list[tuple[list[str], set[str]]] = [
    (["generate", "--prompt", "The soup", "--max-tokens", "4"], {"text", "tokens", "finish_reason", "blend", "stats"}),
    (["logits", "--prompt", "The soup", "--top", "3"], {"tokens", "top"}),
    (["tokenize", "--prompt", "The soup"], {"tokens", "pieces"}),
    (["blend"], BLEND),
    (["chat"], {"template", "turns"}),
    (["info"], {"model_type", "parameters", "memory_by_format", "licence", "objectives", "backbones", "presets"}),
    (["lint"], {"problems", "hints", "condition", "vertices"}),
]


def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bonesoup", *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
    )


def read(*arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("command", "keys"), COMMANDS, ids=[command[0] for command, _ in COMMANDS])
def test_json_has_the_documented_keys(command: list[str], keys: set[str]) -> None:
    for soup in (MODEL, FULL, str(SOUPS / "llama3-lora" / "soup.json")):
        name, *rest = command
        value = read(name, soup, *rest)
        assert keys <= set(value)
        if name == "generate":
            assert set(value["blend"]) == BLEND
            assert len(value["tokens"]) == value["stats"]["tokens"] == 4
        if name == "logits":
            assert [set(entry) for entry in value["top"]] == [{"id", "text", "logit"}] * 3


@pytest.mark.parametrize(
    "command",
    [command for command, _ in COMMANDS],
    ids=[command[0] for command, _ in COMMANDS],
)
def test_what_is_no_soup_is_one_line_and_a_status(command: list[str], tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_bytes(b"")
    name, *rest = command
    for path, status in ((tmp_path / "nothing", 3), (empty, 5), (tmp_path, 3)):
        done = run(name, str(path), *rest)
        assert done.returncode == status, done.stderr
        assert done.stderr.startswith("bonesoup: ") and done.stderr.count("\n") == 1
        assert done.stdout == ""


@pytest.mark.parametrize("command", ["generate", "logits", "blend", "chat"])
def test_a_wrong_preference_is_refused(command: str) -> None:
    prompt = [] if command in ("blend", "chat") else ["--prompt", "The soup"]
    for preference, status in (("brief", 2), ("brief=x", 2), ("sad=1", 3), ("brief=.2", 2), ("brief=-1,happy=2", 2)):
        done = run(command, FULL, *prompt, "--preference", preference)
        assert done.returncode == status, (preference, done.stderr)
        assert done.stderr.startswith("bonesoup: ") and done.stderr.count("\n") == 1


def test_blend_shows_the_golden_coefficients() -> None:
    value = read("blend", FULL, "--preference", "brief=1")
    assert value["coefficients"] == pytest.approx([-0.75, 1.75])
    assert value["kind"] == "folded"
    assert read("blend", LORA, "--coefficients", "2,-.5,-.5", "--folded")["kind"] == "folded"
    assert read("blend", LORA, "--live")["kind"] == "live"


def test_streamed_text_is_the_text() -> None:
    arguments = ["generate", LORA, "--prompt", "The soup", "--max-tokens", "12", "--temperature", "1", "--seed", "3"]
    assert run(*arguments).stdout == read(*arguments)["text"] + "\n"


def test_prompt_from_a_file_and_from_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("The soup", encoding="utf-8")
    wanted = run("tokenize", MODEL, "--prompt", "The soup").stdout
    assert run("tokenize", MODEL, "--prompt-file", str(file)).stdout == wanted
    assert run("tokenize", MODEL, "--prompt-file", "-", text="The soup").stdout == wanted


def test_all_logits_as_an_array(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    out = tmp_path / "x.npy"
    value = read("logits", MODEL, "--prompt", "The soup", "--top", "1", "--out", str(out))
    array = numpy.load(out)
    assert array.shape == (len(value["tokens"]), 288)
    assert int(array[-1].argmax()) == value["top"][0]["id"]
    assert float(array[-1].max()) == pytest.approx(value["top"][0]["logit"])


def test_lint_finds_what_is_wrong(tmp_path: Path) -> None:
    backbones = [{"path": str((Path(FULL) / "backbones" / "0").resolve())}] * 2
    soup = {
        "bonesoup": 1,
        "base": MODEL,
        "objectives": [{"name": "brief"}, {"name": "happy"}],
        "backbones": backbones,
        "matrix": [[0.6, 0.3], [0.3, 0.7]],
        "front": "front.json",
    }
    file = tmp_path / "my.json"
    file.write_text(json.dumps(soup), encoding="utf-8")
    done = run("lint", str(file), "--json")
    assert done.returncode == 1
    text = "\n".join(json.loads(done.stdout)["problems"])
    for part in ("row 0 of the matrix sums to 0.9", "two backbones are one", "front names front.json"):
        assert part in text
    assert run("lint", FULL).returncode == 0


def test_lint_names_everything_that_is_missing(tmp_path: Path) -> None:
    soup = {
        "bonesoup": 1,
        "base": MODEL,
        "objectives": [{"name": "brief"}, {"name": "happy"}],
        "backbones": [{"path": "one"}, {"path": "two"}],
        "matrix": {"rule": "bone", "beta": 0.7},
    }
    file = tmp_path / "my.json"
    file.write_text(json.dumps(soup), encoding="utf-8")
    done = run("lint", str(file), "--json")
    assert done.returncode == 1
    text = "\n".join(json.loads(done.stdout)["problems"])
    for part in ("the soup cannot be opened", "the backbone one does not exist", "the backbone two does not exist"):
        assert part in text


def test_chat_moves_sliders_and_goes_on_after_mistakes() -> None:
    lines = "The soup\n/brief .8\n/show\n/nothing 1\n/brief x\n/reset\nThe soup\n/quit\nnever\n"
    done = run("chat", FULL, "--max-tokens", "4", text=lines)
    assert done.returncode == 0
    assert "no chat template" in done.stderr
    assert done.stderr.count("brief 0.8, happy 0.2") == 3
    assert "nothing" in done.stderr and "“x” is no number" in done.stderr


def test_chat_renders_the_folders_template(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    for file in Path(MODEL).iterdir():
        if file.is_file():
            (tmp_path / file.name).symlink_to(file)
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: "
    (tmp_path / "chat_template.jinja").write_text(template, encoding="utf-8")
    done = run("chat", str(tmp_path), "--max-tokens", "4", text="hello\n")
    assert done.returncode == 0
    assert "no chat template" not in done.stderr
    prompt = "user: hello\nassistant: "
    wanted = read("generate", MODEL, "--prompt", "<|begin_of_text|>" + prompt, "--max-tokens", "4")
    assert wanted["stats"]["tokens"] == 4 and len(done.stdout) > 1


def test_chat_as_json_is_one_object_at_the_end() -> None:
    done = run("chat", FULL, "--max-tokens", "4", "--json", text="The soup\n/brief .8\n is\n")
    assert done.returncode == 0
    value = json.loads(done.stdout)
    assert value["template"] is False and [turn["user"] for turn in value["turns"]] == ["The soup", " is"]
    for turn in value["turns"]:
        assert set(turn) == {"user", "text", "tokens", "finish_reason", "blend", "stats"}
        assert set(turn["blend"]) == BLEND and len(turn["tokens"]) == 4
    assert value["turns"][1]["blend"]["preference"] == pytest.approx({"brief": 0.8, "happy": 0.2})
    first = value["turns"][0]["text"]
    plain = read(
        "generate", FULL, "--max-tokens", "4", "--preference", "brief=.8,happy=.2", "--prompt", f"The soup{first} is"
    )
    assert value["turns"][1]["text"] == plain["text"]


TEMPLATE = """
{%- set today = strftime_now("%Y") -%}
{{ bos_token }}{{ today | length }}{{ tools is none }}{{ {"ü": "<"} | tojson }}
{%- for m in messages -%}
{%- if m.role == "assistant" -%}
{% generation %}{{ m.content }}{% endgeneration %}
{%- else -%}[{{ m.content }}]{%- if loop.last -%}{%- break -%}{%- endif -%}
{%- endif -%}
{%- endfor -%}
"""


def test_templates_have_what_transformers_gives_them(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": {"content": "<s>"}, "pad_token": None, "chat_template": TEMPLATE}), encoding="utf-8"
    )
    template = Template.find(tmp_path)
    assert template is not None
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    assert template.render(messages) == '<s>4True{"ü": "<"}[a]b[c]'


@pytest.mark.parametrize(
    ("files", "stated"),
    [
        ({}, None),
        ({"README.md": "---\nlicense: apache-2.0\ntags:\n- x\n---\nlicense: no\n"}, "apache-2.0"),
        ({"README.md": "# A card\nlicense: mit\n"}, None),
        ({"README.md": "---\nlicense:\n- mit\n- 'cc-by-4.0' # or so\n---\n"}, "mit, cc-by-4.0"),
        ({"README.md": "---\nlicense: [mit, gpl-3.0]\n---\n"}, "mit, gpl-3.0"),
        ({"README.md": '---\r\nlicense: other\r\nlicense_name: "llama3.2"\r\n---\r\n'}, "llama3.2"),
        ({"README.md": "---\nlicense: other\n---\n"}, "other"),
        ({"README.md": "---\nlanguage: en\n---\n", "config.json": '{"license": "mit"}'}, "mit"),
        ({"config.json": "[1]", "LICENSE": "\n  The MIT License\n"}, "The MIT License"),
        ({"config.json": "{", "COPYING": ""}, None),
    ],
)
def test_the_licence_is_told_where_it_is_stated(files: dict[str, str], stated: str | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert licence(tmp_path) == stated


def test_licences_of_backbones_are_told_and_compared(tmp_path: Path) -> None:
    shutil.copytree(LORA, tmp_path / "soup")
    shutil.copytree(MODELS / "llama3", tmp_path / "base")
    manifest = json.loads((tmp_path / "soup" / "soup.json").read_text(encoding="utf-8"))
    adapter = (Path(LORA) / manifest["backbones"][0]["path"]).resolve()
    shutil.copytree(adapter, tmp_path / "adapter")
    manifest["base"] = "../base"
    manifest["backbones"] = [{"path": "../adapter"} for _ in manifest["backbones"]]
    (tmp_path / "soup" / "soup.json").write_text(json.dumps(manifest), encoding="utf-8")
    hints = "\n".join(json.loads(run("lint", str(tmp_path / "soup"), "--json").stdout)["hints"])
    assert "the base states no licence" in hints
    for folder, name in (("base", "mit"), ("adapter", "cc-by-nc-4.0")):
        (tmp_path / folder / "README.md").write_text(f"---\nlicense: {name}\n---\n", encoding="utf-8")
    hints = "\n".join(json.loads(run("lint", str(tmp_path / "soup"), "--json").stdout)["hints"])
    assert "the backbone ../adapter is under cc-by-nc-4.0, the base under mit" in hints
    facts = read("info", str(tmp_path / "soup"))
    assert facts["licence"] == "mit" and facts["backbones"][0]["licence"] == "cc-by-nc-4.0"


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "bonesoup", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
    )


def test_interrupt_ends_with_130_and_without_a_traceback() -> None:
    # Long enough to be caught at work: the end tokens are ignored, and the context is what the model has.
    process = start("chat", MODEL)
    assert process.stderr is not None
    process.stderr.readline()
    process.stderr.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error.decode().strip() == "bonesoup: interrupted"


def test_interrupt_ends_a_generation_at_work() -> None:
    soup = str(FIXTURES / "demo-soup")
    arguments = ["generate", soup, "--prompt", "Once", "--ignore-end", "--max-tokens", "400", "--temperature", "1"]
    process = start(*arguments)
    assert process.stdout is not None
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error.decode().strip() == "bonesoup: interrupted"


def test_output_that_nobody_reads_any_more_ends_it_without_a_word() -> None:
    arguments = ["generate", str(FIXTURES / "demo-soup"), "--prompt", "Once", "--ignore-end", "--max-tokens", "400"]
    process = start(*arguments)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=30) == 141


def test_coefficients_may_start_with_a_minus_sign() -> None:
    assert read("blend", FULL, "--coefficients", "-.75,1.75")["coefficients"] == pytest.approx([-0.75, 1.75])


@pytest.mark.parametrize(
    "arguments",
    [
        ["frob"],
        ["blend"],
        ["blend", FULL, "--preference", ""],
        ["blend", FULL, "-x"],
        ["generate", FULL, "--prompt", "\udcff"],
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("bonesoup: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer_config.json", b"[1,"),
        ("tokenizer_config.json", b"[]"),
        ("tokenizer_config.json", b"\xff\xfe{}"),
        ("chat_template.jinja", b"{% for %}"),
        ("chat_template.jinja", b"{{ messages[0].x.y }}"),
    ],
)
def test_a_bad_template_is_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    for file in Path(MODEL).iterdir():
        if file.is_file() and file.name != name:
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / name).write_bytes(content)
    done = run("chat", str(tmp_path), text="hello\n")
    assert done.returncode == 5
    assert done.stderr.splitlines()[-1].startswith("bonesoup: ") and "Traceback" not in done.stderr


def test_a_terminal_without_unicode_is_served() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bonesoup", "lint", FULL],
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(PACKAGE), "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0 and done.stderr == b""
