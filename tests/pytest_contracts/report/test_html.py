"""The HTML page, read as a browser's parser would read it; ``test_html_browser.py`` runs it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from pytest_contracts.report.html import render

from .conftest import HOSTILE, MIXED, falsified, make_record, make_report, stored

VOID = {"meta", "link", "input", "br", "hr", "img"}
SELF_CLOSED = {"rect", "path"}


class Page(HTMLParser):
    """Elements, attributes and text of a page; every element must be closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def ids(self) -> list[str]:
        return [str(a["id"]) for _, a in self.elements if "id" in a]


@pytest.fixture
def page(project, once):
    """The page of one run, for all of these tests."""
    return Page(once("page", lambda: written(project)))


def written(project) -> str:
    project.contract(MIXED)
    project.contract(
        """
        falsification_tests:
          - {id: B-1, rule: R, prediction: Doubling, formal: double(n) = 2 * n}
        """,
        "doubling-v1",
        head="""
metadata:
  {version: 2.0.0, kind: kernel, description: A dependant, depends_on: [softmax-v1]}
equations:
  double:
    formula: double(n) = 2 * n
    variables: {n: 1..40}
    implementations: {cpu: engine:double, odd: engine:not_double}
""",
    )
    project.run("--contracts-report=r.html", examples=20)
    return (project.pytester.path / "r.html").read_text("utf-8")


def test_page_shows_what_ran_and_where(page):
    for shown in (
        "41.6 %",
        "5 of 12 items verified",
        "|Σ softmax(x) − 1| < ε",
        "softmax(x) ≈ definition(x)",
        "{dtype: float32, shape: [n], range: [-200, 200]}",
        "n: 1\nx: [0.0]",
        "Weights are shares",
        "engine:softmax_reference",
        "contracts/kernels/softmax-v1.yaml:",
        "pytest --contracts=contracts 'contracts/kernels/softmax-v1.yaml::FALSIFY-SM-001[cpu]'",
        "(expected: PROPOSED)",
        "Nobody can execute this",
        "A dependant",
        "8 (ulp)",
    ):
        assert shown in page.text, shown


def test_every_claim_has_an_address_and_every_link_leads_somewhere(page):
    ids = page.ids()
    assert len(ids) == len(set(ids))
    assert {"softmax-v1", "softmax-v1/FALSIFY-SM-001", "softmax-v1/F-SM-001"} <= set(ids)
    links = [str(a["href"]) for a in page.all("a")]
    assert len(links) > 10
    assert {link.removeprefix("#") for link in links} <= set(ids)
    for reference in ("aria-labelledby", "for"):
        for _, attributes in page.elements:
            if reference in attributes:
                assert attributes[reference] in ids


def test_filter_data_is_on_every_claim(page):
    claims = [a for a in page.all("details") if a.get("class") == "claim"]
    found = {a["id"]: (a["data-verdicts"], a["data-kind"], a["data-contract"]) for a in claims}
    assert found["softmax-v1/FALSIFY-SM-002"] == ("FALSIFIED", "falsification", "softmax-v1")
    assert found["softmax-v1/SM-SAF-001"] == ("PROSE", "obligation", "softmax-v1")
    assert found["doubling-v1/B-1"] == ("FALSIFIED HELD", "falsification", "doubling-v1")
    assert found["softmax-v1/F-SM-001"] == ("FALSIFIED", "gate", "softmax-v1")


def test_formulas_are_typeset(page):
    assert len(page.all("math")) >= 6
    assert "&#x" not in page.text


def test_dependencies_are_drawn(page):
    assert len([a for a in page.all("path") if a.get("class") == "arrow"]) == 1


def test_page_needs_nothing_else(project, once):
    text = once("page", lambda: written(project))
    page = Page(text)
    for tag, attributes in page.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base")
        assert "src" not in attributes
        assert "style" not in attributes, "the policy would refuse it"
        assert not [name for name in attributes if name.startswith("on")]
        if "href" in attributes:
            assert str(attributes["href"]).startswith(("#", "data:,"))
    # The arrow of the graph is drawn once in the page itself, and named where it is used.
    assert re.findall(r"@import|url\((?!#)", text) == []


def test_texts_of_contracts_stay_texts(hostile_report):
    page = Page(render(hostile_report))
    assert page.all("img") == []
    assert len(page.all("script")) == 1
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    shown = HOSTILE.replace("\u202e", "⟨U+202E⟩").replace("\x1b", "⟨U+001B⟩")
    assert page.text.count(shown) > 10
    assert "\u202e" not in page.text
    assert all("\u202e" not in str(v) for _, a in page.elements for v in a.values())


def test_policy_names_the_very_script_and_style_of_the_page(hostile_report):
    import base64
    import hashlib

    text = render(hostile_report)
    for tag in ("script", "style"):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src &#39;sha256-{digest}&#39;" in text
    assert "default-src &#39;none&#39;" in text
    assert "unsafe" not in text


def test_two_claims_never_share_an_address():
    records = [make_record(f"A{c}", nodeid=f"a.yaml::A{c}") for c in ("<", ">", "-")]
    ids = Page(render(make_report(*records))).ids()
    assert len(ids) == len(set(ids))
    assert {"a-v1/A-", "a-v1/A-.2", "a-v1/A-.3"} <= set(ids)


def test_a_contract_that_cannot_be_read_again_is_shown_from_its_records():
    page = Page(render(make_report(falsified())))
    assert "could not be read again" in page.text
    assert "f(x) > 1" in page.text
    assert "x: [0.0]" in page.text


def test_what_holds_against_its_status_is_shown():
    healed = make_record("V", status="VIOLATED", outcome="failed", message="the breach is gone")
    ahead = make_record("P", status="PROPOSED", outcome="xpassed")
    text = Page(render(make_report(healed, ahead))).text
    assert "the breach is gone" in text
    assert "PROPOSED, but it holds: promote it" in text


def test_changes_since_the_baseline_are_shown():
    old = (make_record("A"), falsified("B"), make_record("OLD"))
    report = make_report(
        falsified("A"), make_record("B"), baseline=stored("2026-01-02T03:04:05Z", *old)
    )
    text = " ".join(Page(render(report)).text.split())
    assert "Since the run of 2026-01-02 03:04:05 UTC 1 newly failing" in text
    for change in ("0 no longer verified", "1 fixed", "0 new", "1 gone"):
        assert change in text


def test_parameters_and_implementations_stand_side_by_side():
    records = [
        make_record(
            "A",
            nodeid=f"a.yaml::A[{implementation}-{layer}]",
            implementation=implementation,
            parameters={"layer": layer},
        )
        for implementation in ("cpu", "cuda")
        for layer in ("0", "1")
        if (implementation, layer) != ("cuda", "1")
    ]
    text = " ".join(Page(render(make_report(*records))).text.split())
    assert re.search(r"inputs ?cpu ?cuda", text)
    assert re.search(r"layer = 0 ✓ held L3 .* ✓ held L3 .* layer = 1 ✓ held L3 .* none", text)


@pytest.mark.parametrize(
    ("pyproject", "title"),
    [
        ('[project]\nname = "my-kernels"\n', "my-kernels"),
        ("[tool.ruff]\n", "folder"),
        ("project = 3\n", "folder"),
        ("no toml at all", "folder"),
        (None, "folder"),
    ],
)
def test_the_title_is_the_projects_name(tmp_path, pyproject, title):
    root = tmp_path / "folder"
    root.mkdir()
    if pyproject is not None:
        (root / "pyproject.toml").write_text(pyproject)
    assert f"<h1>{title}</h1>" in render(make_report(make_record(), root=root))


WILD = """
metadata: {version: "1.0.0", description: Softmax as others wrote it}
equations:
  softmax:
    formula: "σ(x)_i = exp(x_i - max(x)) / Σ_j exp(x_j - max(x))"
proof_obligations:
  - type: invariant
    property: Output sums to 1
    formal: "|Σ σ(x)_i - 1.0| < ε"
falsification_tests:
  - {id: FALSIFY-SM-001, rule: R, prediction: P, test: a shell line, if_fails: F}
"""


def test_existing_contracts_show_what_was_written_and_how_it_was_read(project):
    project.contract("", "softmax-v1", head=WILD)
    project.run("--contracts-report=r.html")
    page = Page((project.pytester.path / "r.html").read_text("utf-8"))
    assert "|Σ σ(x)_i - 1.0| < ε" in page.text
    assert "|sum(σ(x)[i] for i in 0..len(σ(x))) − 1.0| < ε" in page.text
    assert len(page.all("math")) == 1
    assert "σ(x)_i = exp(x_i - max(x)) / Σ_j exp(x_j - max(x))" in page.text
