"""The step summary and the badge: what they say, and that texts cannot become markup."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from pytest_contracts.report import badge, markdown

from .conftest import MIXED, falsified, make_record, make_report, stored

SVG = "{http://www.w3.org/2000/svg}"


def test_summary_has_counts_levels_failures_and_how_to_reproduce(project):
    project.contract(MIXED)
    project.run("--contracts-report=r.md", examples=3)
    text = (project.pytester.path / "r.md").read_text("utf-8")
    lines = text.splitlines()
    assert lines[0] == "## ❌ Contracts: 40.0 % verified"
    assert "4 of 10 items verified in 1 contract: " in lines[2]
    assert "| softmax-v1 | L0 | 4 | 1 | 1 | 5 |" in lines
    assert "### 4 failing items" in lines
    assert "### 2 items known not to hold" in lines
    assert "counterexample:\n  n: 1\n  x: [0.0]" in text
    assert "reproduce: pytest --contracts=contracts '" in text


def test_a_green_run_is_short():
    text = markdown.render(make_report(make_record()))
    assert text.startswith("## ✅ Contracts: 100 % verified\n")
    assert "failing" not in text


def test_texts_cannot_become_markup(hostile_report):
    text = markdown.render(hostile_report)
    assert "\u202e" not in text
    assert "\x1b" not in text
    prose = re.sub(r"^(`{3,})text\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "```" not in prose
    own = {"<details>", "</details>", "<summary>", "</summary>", "<b>", "</b>", "<code>", "</code>"}
    for line in prose.splitlines():
        bare = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", line)  # code spans show what is in them
        assert set(re.findall(r"<[^>]*>", bare)) <= own, line
        if not bare.startswith("<details>"):
            assert "@all" not in bare
            assert "$x$" not in bare


@pytest.mark.parametrize("text", ["`", "``", "a`b``c", "|", "x\n\ny", " ", "`a`"])
def test_code_spans_hold_any_text(text):
    shown = markdown.code(text)
    fence = re.match("`*", shown)[0]
    assert "\n" not in shown
    assert "|" not in shown
    if fence:
        inner = shown[len(fence) : -len(fence)]
        assert fence not in re.findall("`+", inner)


def test_blocks_hold_any_text():
    shown = markdown.block("```\n````\nx")
    assert shown.splitlines()[0] == "`````text"
    assert shown.splitlines()[-1] == "`````"


def test_a_thousand_failures_stay_under_githubs_limit():
    records = [falsified(f"B-{i:04}", message="m" * 3000) for i in range(1000)]
    text = markdown.render(make_report(*records))
    assert "### 1,000 failing items" in text
    assert "and 950 more" in text
    assert len(text.encode()) < 2**20


def test_summary_tells_what_has_changed():
    old = (make_record("A"), falsified("B"))
    report = make_report(falsified("A"), make_record("B"), baseline=stored("before", *old))
    text = markdown.render(report)
    assert "- **newly failing:** 1 (`A[cpu]`)" in text
    assert "- **fixed:** 1 (`B[cpu]`)" in text
    assert "- **gone:** 0\n" in text + "\n"


@pytest.mark.parametrize(
    ("records", "message", "color"),
    [
        ([make_record()], "100 % verified, L3", badge.GREEN),
        ([make_record(level="L2"), make_record("C")], "100 % verified, L2", badge.GREEN),
        (
            [make_record(), make_record("U", verdict="UNAVAILABLE", outcome="skipped")],
            "50.0 % verified, L3",
            badge.AMBER,
        ),
        ([make_record(), falsified()], "1 failing", badge.RED),
        ([], "nothing ran", badge.GREY),
    ],
)
def test_badges_say_what_ran(records, message, color):
    image = ET.fromstring(badge.render(make_report(*records)))
    assert [t.text for t in image.iter(f"{SVG}text")] == ["contracts", message]
    assert image.get("aria-label") == f"contracts: {message}"
    assert [r.get("fill") for r in image.iter(f"{SVG}rect")][-1] == color
    assert int(image.get("width")) > 100


def test_white_on_the_badges_colours_can_be_read():
    def luminance(color):
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for color in (badge.GREEN, badge.AMBER, badge.RED, badge.GREY):
        assert 1.05 / (luminance(color) + 0.05) >= 4.5, color
