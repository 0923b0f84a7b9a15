"""Sphinx configuration."""

from importlib.metadata import version as _version

project = "pytest-contracts"
author = "The pytest-contracts developers"
copyright = "2026, The pytest-contracts developers"
release = version = _version("pytest-contracts")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "pytest-contracts"
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
nitpicky = False
