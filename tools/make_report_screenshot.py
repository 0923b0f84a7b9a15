"""Photograph an HTML report: ``make_report_screenshot.py OUT.png REPORT.html CONTRACT/CLAIM``.

The picture in the README, the page's top in light beside one claim in dark:
    pytest --contracts contracts/ --contracts-report=build/contracts.html
    python tools/make_report_screenshot.py docs/_static/report-html.png build/contracts.html \
        gqa-kernel-v1/GQ-EQV-001

Needs chromium and chromedriver, and the extra ``browser``.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

WIDTH, HEIGHT, SCALE = 1480, 860, 0.72
LIMIT_BYTES = 200_000
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
)

# A frame takes the colour scheme of its element, so one picture can show both.
PAGE = """<!doctype html><meta charset="utf-8">
<style>
  body {{ margin: 0; display: flex; overflow: hidden; background: #888; gap: 2px; }}
  div {{ width: {half}px; height: {height}px; overflow: hidden; }}
  iframe {{ border: 0; width: {inner_width}px; height: {inner_height}px;
    transform: scale({scale}); transform-origin: 0 0; }}
</style>
<div><iframe style="color-scheme: light" src="{report}"></iframe></div>
<div><iframe style="color-scheme: dark" src="{report}#{claim}"></iframe></div>
"""


def photograph(report: Path, claim: str) -> bytes:
    """Return the picture as PNG."""
    half = (WIDTH - 2) // 2
    page = PAGE.format(
        half=half,
        height=HEIGHT,
        inner_width=round(half / SCALE),
        inner_height=round(HEIGHT / SCALE),
        scale=SCALE,
        report=report.resolve().as_uri(),
        claim=claim,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(page, encoding="utf-8")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*FLAGS, f"--user-data-dir={folder}/profile"):
            options.add_argument(flag)
        service = webdriver.ChromeService(shutil.which("chromedriver") or "")
        driver = webdriver.Chrome(options=options, service=service)
        try:
            size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            driver.get(path.as_uri())
            driver.switch_to.frame(1)
            WebDriverWait(driver, 30).until(
                lambda d: d.execute_script("return document.activeElement.tagName") == "SUMMARY"
            )
            driver.execute_script("document.activeElement.blur()")
            driver.switch_to.default_content()
            # Showing the claim has scrolled what is around the frame too.
            driver.execute_script(
                "for (const e of document.querySelectorAll('body, div')) e.scrollTop = 0"
            )
            return driver.get_screenshot_as_png()
        finally:
            driver.quit()


def main() -> None:
    """Photograph, check the size, write."""
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    target, report, claim = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    picture = photograph(report, claim)
    if len(picture) > LIMIT_BYTES:
        raise SystemExit(f"{len(picture):,} bytes, more than {LIMIT_BYTES:,}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(picture)


if __name__ == "__main__":
    main()
