"""The HTML page in headless Chromium: filter, search, links, themes, phone, keyboard, axe.

Needs chromium and chromedriver (Debian: ``apt-get install chromium chromium-driver``) and the extra
``browser``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from pytest_contracts.files import write_text
from pytest_contracts.report.html import render

from .conftest import HOSTILE, MIXED, falsified, make_record, make_report, stored

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
DESKTOP, PHONE = (1280, 900), (390, 844)


class Browser:
    """One page in Chromium, with what it logged and asked the network for."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def show(
        self, path: Path, fragment: str = "", size: tuple[int, int] = DESKTOP, scheme: str = "light"
    ) -> None:
        """Load a page from disk as if for the first time."""
        driver = self.driver
        driver.get("about:blank")
        driver.get_log("performance")
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {**metrics, "mobile": size == PHONE}
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        driver.get(path.as_uri() + fragment)

    def js(self, script: str, *arguments: object) -> Any:
        """Run a script in the page and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        """Return the first element of a selector."""
        return self.driver.find_element("css selector", selector)

    def choose(self, name: str, value: str) -> None:
        """Choose an option of a filter by its text, as a reader does."""
        from selenium.webdriver.support.select import Select

        Select(self.find(f"#{name}")).select_by_visible_text(value)

    def shown(self) -> list[str]:
        """Return the addresses of the claims that are to be seen."""
        return list(
            self.js(
                "return [...document.querySelectorAll('.claim')]"
                ".filter(c => c.checkVisibility()).map(c => c.id)"
            )
        )

    def problems(self) -> list[str]:
        """Return what the console holds."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return every address that the page asked for since it was shown."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        urls = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium without a network."""
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="pip install pytest-contracts[browser]"
    )
    found = shutil.which("chromium"), shutil.which("chromedriver")
    if None in found:
        pytest.skip("no chromium and chromedriver; apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(found[1])
    driver = webdriver.Chrome(options=options, service=service)
    yield Browser(driver)
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with two contracts, every kind and verdict, a graph, a trend and an unread file."""
    from pytest_contracts.ledger.records import Unread

    root = tmp_path_factory.mktemp("project")
    (root / "contracts").mkdir()
    head = """
metadata:
  {version: 1.0.0, kind: kernel, description: Softmax of a vector, depends_on: [base-v1]}
equations:
  softmax:
    formula: softmax(x) = exp(x − max(x)) / Σ exp(x − max(x))
    variables:
      n: 1..16
      x: {dtype: float32, shape: [n], range: [-200, 200]}
    implementations: {reference: "engine:softmax_reference", cpu: "engine:softmax"}
"""
    (root / "contracts" / "softmax-v1.yaml").write_text(head + MIXED, "utf-8")
    lines = (head + MIXED).splitlines()

    def of(claim: str, **changes: Any) -> dict[str, Any]:
        line = next(n for n, text in enumerate(lines, 1) if f"id: {claim}" in text)
        implementation = changes.get("implementation", "cpu")
        return {
            "contract": "softmax-v1",
            "nodeid": f"contracts/softmax-v1.yaml::{claim}[{implementation}]",
            "where": f"contracts/softmax-v1.yaml:{line}:5",
            **changes,
        }

    skipped = {"outcome": "skipped", "level": "L1", "examples": 0}
    wide = {f"parameter_{i}": "a_long_value_of_it" for i in range(4)}
    records = [
        make_record("SM-INV-001", **of("SM-INV-001", formulas=["|Σ softmax(x) − 1| < ε"])),
        make_record("SM-INV-001", **of("SM-INV-001", implementation="reference")),
        make_record("SM-EQV-001", **of("SM-EQV-001", parameters=wide)),
        make_record("SM-SAF-001", **of("SM-SAF-001", verdict="PROSE", **skipped)),
        falsified("FALSIFY-SM-001", **of("FALSIFY-SM-001", kind="falsification")),
        make_record(
            "FALSIFY-SM-002",
            **of("FALSIFY-SM-002", verdict="UNAVAILABLE", message="no GPU", **skipped),
        ),
        make_record("FALSIFY-SM-003", **of("FALSIFY-SM-003", verdict="VACUOUS", **skipped)),
        falsified("F-SM-001", **of("F-SM-001", kind="gate", implementation=None)),
        make_record("K-1", contract="base-v1", kind="harness", verdict="CONFIRMED", level="L4"),
        make_record("K-2", contract="base-v1", kind="harness", verdict="INCONCLUSIVE", **skipped),
    ]
    old = (make_record("GONE"), falsified("SM-INV-001", **of("SM-INV-001")))
    report = make_report(
        *records,
        root=root,
        errors=[Unread("contracts/bad.yaml", 2, "not YAML")],
        thresholds=["lowest level L0"],
        baseline=stored("2026-01-02T03:04:05Z", *old),
    )
    path = root / "report.html"
    write_text(render(report), path)
    return path


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core."""
    pytest.importorskip("axe_playwright_python", reason="pip install pytest-contracts[browser]")
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


def test_the_page_loads_alone_and_without_complaint(browser, page):
    browser.show(page)
    assert browser.problems() == []
    assert browser.requests() == [page.as_uri()]
    assert browser.js("return document.querySelectorAll('math').length") >= 2
    assert browser.find("#shown").text == "9 of 9 claims"


@pytest.mark.parametrize(
    ("name", "value", "claims"),
    [
        ("verdict", "falsified", {"FALSIFY-SM-001", "F-SM-001"}),
        ("verdict", "held", {"SM-INV-001", "SM-EQV-001"}),
        (
            "verdict",
            "not verified",
            {"SM-SAF-001", "FALSIFY-SM-001", "FALSIFY-SM-002", "FALSIFY-SM-003", "F-SM-001", "K-2"},
        ),
        ("kind", "harness", {"K-1", "K-2"}),
        ("kind", "gate", {"F-SM-001"}),
        ("contract", "base-v1", {"K-1", "K-2"}),
    ],
)
def test_filters_show_what_they_say(browser, page, name, value, claims):
    browser.show(page)
    browser.choose(name, value)
    assert {address.partition("/")[2] for address in browser.shown()} == claims
    assert browser.find("#shown").text == f"{len(claims)} of 9 claims"
    browser.find(".tools button[type=reset]").click()
    browser.js("return new Promise(setTimeout)")
    assert len(browser.shown()) == 9


@pytest.mark.parametrize(
    ("words", "claims"),
    [
        ("falsify-sm-002", {"FALSIFY-SM-002"}),
        ("NO GPU", {"FALSIFY-SM-002"}),
        ("nobody execute", {"SM-SAF-001"}),
        ("softmax sums", {"SM-INV-001"}),
        ("weights are shares", {"FALSIFY-SM-001"}),
        ("x: [0.0]", {"FALSIFY-SM-001", "F-SM-001"}),
        ("no such word anywhere", set()),
    ],
)
def test_search_finds_ids_statements_messages_and_formulas(browser, page, words, claims):
    browser.show(page)
    browser.find("#search").send_keys(words)
    assert {address.partition("/")[2] for address in browser.shown()} == claims
    assert browser.find("#nothing").is_displayed() is (not claims)


def test_filters_add_up_and_contracts_without_claims_go(browser, page):
    browser.show(page)
    browser.choose("verdict", "falsified")
    browser.choose("kind", "falsification")
    assert browser.shown() == ["softmax-v1/FALSIFY-SM-001"]
    assert not browser.find("[id='base-v1']").is_displayed()


def test_keys_reach_the_search_and_leave_it(browser, page):
    from selenium.webdriver.common.keys import Keys

    browser.show(page)
    browser.find("body").send_keys("/")
    search = browser.find("#search")
    assert browser.driver.switch_to.active_element == search
    search.send_keys("k-1")
    assert browser.shown() == ["base-v1/K-1"]
    search.send_keys(Keys.ESCAPE)
    assert len(browser.shown()) == 9


def test_a_claim_opens_by_its_address_and_by_the_keyboard(browser, page):
    from selenium.webdriver.common.keys import Keys

    browser.show(page, "#softmax-v1/FALSIFY-SM-001")
    opened = "return [...document.querySelectorAll('.claim[open]')].map(c => c.id)"
    assert browser.js(opened) == ["softmax-v1/FALSIFY-SM-001"]
    browser.js("return new Promise(done => setTimeout(done, 50))")
    summary = browser.driver.switch_to.active_element
    assert summary.tag_name == "summary"
    assert "FALSIFY-SM-001" in summary.text
    top = browser.js("return document.activeElement.getBoundingClientRect().top")
    assert 0 <= top < DESKTOP[1] / 2
    assert browser.find("[id='softmax-v1/FALSIFY-SM-001'] .example").text == "n: 1\nx: [0.0]"
    summary.send_keys(Keys.ENTER)
    assert browser.js(opened) == []


def test_a_link_to_a_claim_that_the_filter_hides_shows_it(browser, page):
    browser.show(page)
    browser.choose("kind", "gate")
    browser.js("location.hash = '#base-v1/K-1'; return new Promise(setTimeout)")
    browser.js("return new Promise(done => setTimeout(done, 50))")
    assert "base-v1/K-1" in browser.shown()
    assert browser.js("return document.activeElement.closest('.claim').id") == "base-v1/K-1"


def test_links_of_overview_and_graph_lead_to_contracts(browser, page):
    browser.show(page)
    for selector in (".overview tbody a", ".graph a"):
        link = browser.find(selector)
        target = browser.js("return arguments[0].getAttribute('href')", link)
        browser.js("arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", link)
        assert browser.js("return decodeURIComponent(location.hash)") == target
        assert browser.js("return document.getElementById(arguments[0].slice(1)) !== null", target)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_object_to(browser, page, axe, size, scheme):
    browser.show(page, size=size, scheme=scheme)
    browser.js("for (const d of document.querySelectorAll('details')) d.open = true")
    browser.js(axe)
    found = browser.driver.execute_async_script(
        "const done = arguments[arguments.length - 1]; axe.run(document).then(done)"
    )
    seen = [(v["id"], [n["html"][:150] for n in v["nodes"][:3]]) for v in found["violations"]]
    assert seen == []
    assert {"color-contrast", "label", "link-name"} <= {rule["id"] for rule in found["passes"]}


def test_every_control_has_a_name_for_those_who_hear_the_page(browser, page):
    browser.show(page)
    browser.js("for (const d of document.querySelectorAll('details')) d.open = true")
    nodes = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"button", "link", "combobox", "searchbox", "textbox", "image", "DisclosureTriangle"}
    controls = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in nodes
        if not node.get("ignored") and node.get("role", {}).get("value") in roles
    ]
    assert len(controls) > 30
    assert [control for control in controls if not control[1]] == []
    names = {name for _, name in controls}
    assert {"Search", "Verdict", "Kind", "Contract", "Link to K-1"} <= names
    assert "level L1: L1 2 of 2, L2 1 of 2, L3 1 of 2, L4 1 of 2, L5 0 of 2" in names


def test_dark_and_light_follow_the_system_until_the_reader_chooses(browser, page):
    paper = "return getComputedStyle(document.body).backgroundColor"
    browser.show(page, scheme="light")
    browser.js("localStorage.clear()")
    browser.show(page, scheme="light")
    light = browser.js(paper)
    browser.show(page, scheme="dark")
    dark = browser.js(paper)
    assert light != dark
    toggle = browser.find("#theme")
    assert toggle.text == "Light theme"
    toggle.click()
    assert browser.js(paper) == light
    assert toggle.text == "Dark theme"
    browser.show(page, scheme="dark")
    assert browser.js(paper) == light, "the choice is kept"
    browser.js("localStorage.clear()")


@pytest.mark.parametrize("opened", [False, True])
def test_nothing_is_wider_than_a_phone(browser, page, opened):
    browser.show(page, size=PHONE)
    if opened:
        browser.js("for (const d of document.querySelectorAll('details')) d.open = true")
    assert browser.js("return innerWidth") == PHONE[0]
    assert browser.js("return document.documentElement.scrollWidth") == PHONE[0]
    outside = browser.js(
        "return [...document.querySelectorAll('body *')].filter(e =>"
        " e.checkVisibility() && !e.closest('.scroll, .math, .hidden, .skip')"
        " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 90))"
    )
    assert outside == []


def test_print_unfolds_what_the_filter_shows(browser, page):
    browser.show(page)
    browser.choose("contract", "base-v1")
    browser.js("dispatchEvent(new Event('beforeprint'))")
    assert browser.js("return document.querySelectorAll('details:not([open])').length") == 0
    assert browser.shown() == ["base-v1/K-1", "base-v1/K-2"]
    browser.js("dispatchEvent(new Event('afterprint'))")
    assert browser.js("return document.querySelectorAll('.claim[open]').length") == 0


def test_texts_of_a_hostile_contract_do_not_run(browser, tmp_path, hostile_report):
    path = tmp_path / "hostile.html"
    write_text(render(hostile_report), path)
    browser.show(path)
    browser.js("for (const d of document.querySelectorAll('details')) d.open = true")
    assert browser.problems() == []
    assert browser.requests() == [path.as_uri()]
    assert browser.js("return document.images.length + document.scripts.length") == 1
    shown = HOSTILE.replace("\u202e", "⟨U+202E⟩").replace("\x1b", "⟨U+001B⟩")
    assert shown in browser.js("return document.body.textContent")


def test_a_script_that_got_in_would_not_run(browser, page, tmp_path):
    """The policy is the second wall: behind it even what was not escaped stays dead."""
    path = tmp_path / "breached.html"
    evil = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    path.write_text(page.read_text("utf-8").replace("<main>", f"<main>{evil}"), "utf-8")
    browser.show(path)
    browser.js("return new Promise(done => setTimeout(done, 100))")
    assert browser.driver.title != "owned"
    assert any("Content Security Policy" in problem for problem in browser.problems())


def test_the_page_says_everything_without_javascript(browser, page):
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.show(page)
        text = browser.find("body").text
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "FALSIFY-SM-001" in text
    assert "of 9 claims" not in text


def test_the_line_that_reproduces_an_item_can_be_copied(browser, page):
    browser.show(page, "#softmax-v1/FALSIFY-SM-001")
    button = browser.find("[id='softmax-v1/FALSIFY-SM-001'] .copy")
    button.click()
    browser.js("return new Promise(done => setTimeout(done, 100))")
    assert button.text in ("Copied", "Selected")
