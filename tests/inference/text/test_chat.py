from __future__ import annotations

import json
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from inference.errors import TokenizerError
from inference.formats.tokenizer_spec import TokenizerSpec
from inference.text import chat, template_process
from inference.text.chat import ChatTemplate, Limits
from inference.text.tokenizer import Tokenizer

HELLO = [{"role": "user", "content": "hello"}]


def in_this_process(source: str, **context: Any) -> dict[str, str]:
    now = datetime(2026, 1, 2).isoformat()
    request = {"template": source, "context": context, "now": now, "output": 100, "memory": 1 << 20}
    return template_process.answer(request)


@pytest.mark.parametrize(
    "golden", ["qwen2.5-coder-0.5b-instruct", "smollm2-135m-instruct"], indirect=True
)
def test_real_templates_render_as_transformers_does(
    golden: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first in a process as always; the others as that does it, but here."""

    def run(template: ChatTemplate, document: str) -> str:
        return template_process.answer(json.loads(document))["text"]

    template = ChatTemplate(golden["chat_template"])
    assert len(golden["conversations"]) >= 12
    for number, conversation in enumerate(golden["conversations"]):
        if number == 1:
            monkeypatch.setattr(ChatTemplate, "_run", run)
        rendered = template.render(
            conversation["messages"],
            tools=conversation["tools"],
            add_generation_prompt=conversation["add_generation_prompt"],
        )
        assert rendered == conversation["rendered"]


def test_a_prompt_begins_with_one_bos(small_spec: TokenizerSpec) -> None:
    from dataclasses import replace

    start = small_spec.tokens.index("<|begin|>")
    body = "{% for m in messages %}{{ m.content }}{% endfor %}"
    for source, add_bos, count in (
        (body, False, 0),
        (body, True, 1),
        ("{{ bos_token }}" + body, False, 1),
        ("{{ bos_token }}" + body, True, 1),
    ):
        spec = replace(small_spec, chat_template=source, add_bos=add_bos)
        tokenizer = Tokenizer.from_spec(spec)
        template = ChatTemplate.of(tokenizer)
        ids = template.encode(tokenizer, template.render(HELLO))
        assert ids.count(start) == count
        assert tokenizer.decode(ids, skip_special=True) == "hello"


def test_a_template_sees_the_tokens_and_variables(small_spec: TokenizerSpec) -> None:
    from dataclasses import replace

    source = (
        "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}{{ x }}"
    )
    tokenizer = Tokenizer.from_spec(replace(small_spec, chat_template=source))
    assert ChatTemplate.of(tokenizer).render(HELLO, x="!") == "<|begin|>user: hello!"


def test_a_file_without_a_template_says_so(small_spec: TokenizerSpec) -> None:
    with pytest.raises(TokenizerError, match="carries no chat template"):
        ChatTemplate.of(Tokenizer.from_spec(small_spec))


def test_the_date_is_the_callers() -> None:
    template = ChatTemplate("{{ strftime_now('%d %b %Y') }}")
    assert template.render(HELLO, now=datetime(2024, 7, 26)) == "26 Jul 2024"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ raise_exception('roles must alternate') }}", "refuses .*: roles must alternate"),
        ("a\n{% if %}", "does not parse, line 2"),
        ("{{ missing.attribute }}", "UndefinedError"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("{% include '/etc/passwd' %}", "failed"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recurses without end"),
        ("{{ 'x' * 101 }}", "writes more than 100 characters"),
    ],
)
def test_a_bad_template_is_explained(source: str, message: str) -> None:
    problem = in_this_process(source, messages=[])["error"]
    assert pytest.RaisesExc(TokenizerError, match=message).matches(TokenizerError(problem))
    limits = Limits(output=100)
    with pytest.raises(TokenizerError, match=message):
        ChatTemplate(source, limits=limits).render([])


def test_templates_speak_plain_json_and_mark_generations() -> None:
    source = "{{ x | tojson }}{{ x | tojson(indent=1) }}{% generation %}<é>{% endgeneration %}"
    assert in_this_process(source, x={"b": "<é>"}) == {"text": '{"b": "<é>"}{\n "b": "<é>"\n}<é>'}


def test_loop_controls_and_block_trimming() -> None:
    source = (
        "{% for i in range(9) %}\n  {% if i == 2 %}\n{% break %}\n{% endif %}\n{{ i }}{% endfor %}"
    )
    assert in_this_process(source)["text"] == "01"


HOSTILE = {
    "endless": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "nested": "{% set n = namespace(x=[1]) %}{% for i in range(50) %}"
    "{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_time_is_limited_in_any_thread(name: str) -> None:
    caught: list[BaseException] = []

    def render() -> None:
        try:
            ChatTemplate(HOSTILE[name], limits=Limits(seconds=0.5)).render([])
        except TokenizerError as error:
            caught.append(error)

    thread = threading.Thread(target=render)
    thread.start()
    thread.join()
    assert "ran for more than 0.5 s" in str(caught[0])


@pytest.mark.parametrize("source", ["{{ 'x' * 10**10 }}", "{{ '%1000000000d' % 1 }}"])
def test_memory_is_limited(source: str) -> None:
    with pytest.raises(TokenizerError, match="needs more than 256 MiB"):
        ChatTemplate(source, limits=Limits(memory=1 << 28)).render([])


def test_a_process_that_dies_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "dies.py"
    script.write_text("raise SystemExit('out of\\nluck')")
    monkeypatch.setattr(chat, "_PROCESS", script)
    with pytest.raises(TokenizerError, match="process ended with 1: luck"):
        ChatTemplate("").render([])


def test_a_conversation_must_be_json() -> None:
    with pytest.raises(TokenizerError, match="the conversation is not JSON"):
        ChatTemplate("").render([{"role": object()}])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TokenizerError, match="need the package jinja2"):
        ChatTemplate("").render([])
