"""`apr chat`, through a pipe and through a terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import inference
from inference.cli import chat, main
from inference.data import TINY_MODEL
from inference.decode.options import GenerationOptions
from inference.decode.past import Past
from inference.engine.conversation import Conversation
from inference.errors import ContextOverflowError

TINY = str(TINY_MODEL)
OPTIONS = GenerationOptions(max_tokens=6, ignore_eos=True)


def talk(monkeypatch: pytest.MonkeyPatch, *lines: str, extra: tuple[str, ...] = ()) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    return main(["chat", TINY, "--max-tokens", "5", *extra])


def messages(path: Path) -> list[tuple[str, str]]:
    found = json.loads(path.read_text(encoding="utf-8"))["messages"]
    return [(turn["role"], turn["content"]) for turn in found]


def test_a_piped_conversation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = (tmp_path / name for name in ("a.json", "b.json", "c.json"))
    code = talk(
        monkeypatch,
        "hello",
        "",
        "and you?",
        f"/save {first}",
        "/clear",
        f"/save {second}",
        "/system Be brief.",
        "hello",
        f"/save {third}",
        "/exit",
        "never said",
        extra=("--system", "Be kind."),
    )
    out = capsys.readouterr().out
    assert code == 0
    kept = messages(first)
    assert [role for role, _ in kept] == ["system", "user", "assistant", "user", "assistant"]
    assert (kept[0][1], kept[1][1], kept[3][1]) == ("Be kind.", "hello", "and you?")
    assert f"{kept[2][1]}\n{kept[4][1]}\n" in out
    assert messages(second) == [("system", "Be kind.")]
    assert [content for _, content in messages(third)][:2] == ["Be brief.", "hello"]
    assert list(tmp_path.glob(".*")) == []


def test_mistakes_do_not_end_the_conversation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "a.json"
    code = talk(
        monkeypatch,
        "hello",
        "/nonsense",
        "/save",
        f"/save {tmp_path}/nowhere/a.json",
        "word " * 5000,
        "/help",
        f"/save {saved}",
    )
    printed = capsys.readouterr()
    assert code == 0
    assert "no command '/nonsense'" in printed.err
    assert "no command '/save'" in printed.err
    assert "No such file or directory" in printed.err
    assert "all that fits the context" in printed.err
    assert "/clear" in printed.out
    assert len(messages(saved)) == 2


def test_an_interrupt_ends_the_answer_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with inference.load(TINY_MODEL) as model:
        conversation = Conversation(model)
        whole = "".join(Conversation(model).say("hello", OPTIONS))
        echoed: list[str] = []

        def echo(text: str = "", **options: object) -> None:
            echoed.append(text)
            if len(echoed) == 3:
                raise KeyboardInterrupt

        monkeypatch.setattr(chat.typer, "echo", echo)
        chat._answer(conversation, "hello", OPTIONS)
    assert "".join(echoed[:3]) == conversation.messages[1]["content"]
    assert whole.startswith("".join(echoed[:3]))


def test_what_was_read_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    advance = Past.advance

    def counted(session: Past, ids: Any, **options: Any) -> Any:
        runs.append(len(ids))
        return advance(session, ids, **options)

    monkeypatch.setattr(Past, "advance", counted)
    with inference.load(TINY_MODEL) as model:
        conversation = Conversation(model)
        "".join(conversation.say("hello", OPTIONS))
        turns = list(conversation.messages)
        first, runs[:] = runs[0], []
        warm = "".join(conversation.say("and you?", OPTIONS))
        new, runs[:] = runs[0], []
        cold = Conversation(model)
        cold.messages = turns
        assert "".join(cold.say("and you?", OPTIONS)) == warm
        # A cold run reads at least the first prompt, which the warm one knew.
        assert new <= runs[0] - first
        with pytest.raises(ContextOverflowError):
            "".join(conversation.say("word " * 5000, OPTIONS))
        assert len(conversation.messages) == 4


def test_a_terminal_gets_a_prompt() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "dumb"}
    script = "import sys; from inference.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "chat", TINY, "--max-tokens", "3"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    seen = wait_for(ours, "> ")
    assert "/help lists the commands" in seen
    os.write(ours, b"hello\n")
    wait_for(ours, "> ")
    os.write(ours, b"/exit\n")
    assert process.wait(timeout=60) == 0
    os.close(ours)


def wait_for(terminal: int, text: str) -> str:
    seen = ""
    end = time.monotonic() + 60
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"the terminal shows {seen!r}"
        seen += os.read(terminal, 4096).decode(errors="replace")
    return seen


def test_json_is_the_conversation_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "a.json"
    lines = ("hello", f"/save {saved}")
    assert talk(monkeypatch, *lines, extra=("--json", "--system", "Be kind.")) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["model"] == TINY
    assert [(m["role"], m["content"]) for m in document["messages"]] == messages(saved)
    assert [m["role"] for m in document["messages"]] == ["system", "user", "assistant"]


def test_the_arrow_keys_bring_back_what_was_typed(tmp_path: Path) -> None:
    pytest.importorskip("readline")
    saved = tmp_path / "a.json"
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    script = "import sys; from inference.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "chat", TINY, "--max-tokens", "3"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    assert "\x1b[1;32m" in wait_for(ours, "> ")
    for line in (b"first\n", b"second\n", b"\x1b[A\x1b[A\n", b"/help\n"):
        os.write(ours, line)
        seen = wait_for(ours, "> ")
    assert "/save FILE" in seen
    os.write(ours, f"/save {saved}\n".encode())
    wait_for(ours, "6 messages")
    os.write(ours, b"/exit\n")
    assert process.wait(timeout=60) == 0
    os.close(ours)
    assert [text for role, text in messages(saved) if role == "user"] == [
        "first",
        "second",
        "first",
    ]
