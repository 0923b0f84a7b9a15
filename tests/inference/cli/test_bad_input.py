"""What people pass by mistake or on purpose: a typed error in one line, soon, in little memory."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path
from typing import NamedTuple

import pytest

from inference.cli import main
from inference.cli.common import prompt_text
from inference.data import TINY_MODEL
from inference.errors import InputError

TINY = str(TINY_MODEL)
APR = "import sys; from inference.cli import main; sys.exit(main())"
MEMORY = 3 << 30
QWEN2 = Path(__file__).parents[2] / "golden" / "tiny" / "qwen2"


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., str]:
    """Return a function that copies a small model with another template or context length."""

    def make(template: str | None, context: int = 512) -> str:
        folder = tmp_path / "model"
        folder.mkdir()
        for name in ("model.safetensors", "tokenizer.json"):
            (folder / name).symlink_to(QWEN2 / name)
        for name, change in (
            ("tokenizer_config.json", {"chat_template": template}),
            ("config.json", {"max_position_embeddings": context}),
        ):
            whole = json.loads((QWEN2 / name).read_text(encoding="utf-8")) | change
            (folder / name).write_text(json.dumps(whole), encoding="utf-8")
        return str(folder)

    return make


def apr(
    *arguments: str | bytes, stdin: bytes = b"", code: str = APR, memory: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    def limit() -> None:
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=stdin,
        capture_output=True,
        env=environment,
        preexec_fn=limit,
        timeout=60,
        check=False,
    )


class Outcome(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


Here = Callable[..., Outcome]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    """Return a function that runs a command in this process, with bytes for standard input."""

    def run(*arguments: str, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        code = main(arguments)
        return Outcome(code, *capsys.readouterr())

    return run


def refused(done: Outcome | subprocess.CompletedProcess[bytes], code: int) -> str:
    if not isinstance(done, Outcome):
        done = Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert done.code == code, done.err
    assert done.out == ""
    assert done.err.startswith("apr: ")
    assert done.err.count("\n") == 1, done.err
    return done.err


# One process for several commands: its start takes longer than what they do.
SEVERAL = """
import json, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from inference.cli import main
found = []
for arguments in json.loads(sys.argv[1]):
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = main(arguments)
    found.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(found))
"""


def test_prompts_of_ten_megabytes(tmp_path: Path) -> None:
    commands = []
    for number, word in enumerate(("word ", "a", "é日")):
        file = tmp_path / f"{number}.txt"
        file.write_text(word * (10**7 // len(word)), encoding="utf-8")
        for chat in ([], ["--chat"]):
            commands.append(["run", TINY, *chat, "--prompt-file", str(file)])
    done = apr(json.dumps(commands), code=SEVERAL, memory=MEMORY)
    assert done.returncode == 0, done.stderr
    outcomes = [Outcome(*found) for found in json.loads(done.stdout)]
    for command, outcome in zip(commands, outcomes, strict=True):
        message = refused(outcome, 2 if "--chat" not in command else outcome.code)
        assert "which is all that fits the context" in message or "writes more than" in message


@pytest.mark.parametrize("command", ["run", "tokenize"])
def test_text_that_is_not_utf8(command: str, tmp_path: Path, here: Here) -> None:
    file = tmp_path / "latin.txt"
    file.write_bytes("naïve café".encode("latin-1"))
    message = refused(here(command, TINY, "--prompt-file", str(file)), 2)
    assert "latin.txt: byte 0x2 is not UTF-8" in message
    by_pipe = command, TINY, "--prompt-file", "-"
    for done in (here(*by_pipe, stdin=b"\xff"), apr(*by_pipe, stdin=b"\xff")):
        assert "standard input: byte 0x0" in refused(done, 2)
    assert "the text: byte 0x1" in refused(apr(command, TINY, b"a\xe9b"), 2)


def test_a_text_comes_from_one_place(tmp_path: Path, here: Here) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("What is 2+2?", encoding="utf-8")
    assert prompt_text(None, file) == prompt_text("What is 2+2?", None)
    for both in (("a", file), (None, None)):
        with pytest.raises(InputError, match="and not both"):
            prompt_text(*both)
    by_pipe = here("run", TINY, "--prompt-file", "-", "-n", "4", stdin=file.read_bytes())
    assert by_pipe.code == 0
    for words in (["--prompt-file", str(file)], ["What is 2+2?"]):
        assert here("run", TINY, *words, "--max-tokens", "4") == by_pipe
    assert "No such file" in refused(here("run", TINY, "--prompt-file", "none.txt"), 3)


def test_an_overflow_is_refused_with_the_numbers_or_the_text_ends(
    capsys: pytest.CaptureFixture[str], made: Callable[..., str]
) -> None:
    arguments = ["run", TINY, "What is 2+2?", "--max-tokens", "100000", "--ignore-eos"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "7 prompt tokens and 100000 new ones do not fit a context of" in error
    assert "at most" in error
    small = made(None, context=12)
    cut = ["run", small, "ab", "--max-tokens", "100", "--ignore-eos", "--overflow"]
    assert main([*cut, "truncate", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["prompt_ids"]) + len(found["ids"]) == 12
    assert found["finish_reason"] == "length"
    assert main([*cut, "error"]) == 2
    assert main(["run", small, "ab" * 20, "--overflow", "truncate"]) == 2
    assert "more than 12 tokens" in capsys.readouterr().err


HOSTILE = {
    "loops for ever": (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "ran for more than",
    ),
    "reaches for attributes": (
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "SecurityError",
    ),
    "reaches for a function's globals": (
        "{{ raise_exception.__globals__['json'].codecs.open('/etc/passwd').read() }}",
        "SecurityError",
    ),
    "changes the conversation": ("{{ messages.append(1) }}", "SecurityError"),
    "fills memory": ("{{ 'x' * 10**10 }}", "memory"),
    "never ends a block": ("{% if messages %}", "does not parse, line 1"),
    "is no template": ("{{ messages", "does not parse, line 1"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_template_that(
    name: str, made: Callable[..., str], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from inference.text import chat

    template, message = HOSTILE[name]
    seconds = 0.2 if "for ever" in name else 60.0
    monkeypatch.setattr(chat.Limits, "__init__", partialmethod(limits_of_a_test, seconds))
    model = made(template)
    assert main(["run", model, "hello", "--chat"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("apr: the chat template")
    assert message in error
    # In a conversation a turn fails, and the next may be said.
    monkeypatch.setattr(sys, "stdin", io.StringIO("hello\n/help\n"))
    assert main(["chat", model]) == 0
    printed = capsys.readouterr()
    assert message in printed.err
    assert "/exit" in printed.out


def limits_of_a_test(self: object, seconds: float, *_: object, **__: object) -> None:
    for name, value in (("seconds", seconds), ("memory", 1 << 29), ("output", 1 << 22)):
        object.__setattr__(self, name, value)


def test_a_chat_without_a_template(
    made: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    model = made(None)
    for command in (["chat", model], ["run", model, "hello", "--chat"]):
        assert main(command) == 3
        assert "carries no chat template" in capsys.readouterr().err


def test_a_line_that_is_not_utf8_is_a_turn_that_fails(tmp_path: Path, here: Here) -> None:
    saved = tmp_path / "said.json"
    lines = b"caf\xe9\nhello\n/save " + os.fsencode(saved) + b"\n"
    done = here("chat", TINY, "--max-tokens", "2", stdin=lines)
    assert done.code == 0
    assert "lone surrogate" in done.err
    said = [turn["content"] for turn in json.loads(saved.read_text("utf-8"))["messages"]]
    assert said[0] == "hello"
