"""Sphinx's settings: Markdown pages, and the reference taken from the docstrings."""

from kernelwise.version import VERSION

project = "kernelwise"
author = "The kernelwise authors"
copyright = "The kernelwise authors, Apache License 2.0"
version = release = VERSION

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
default_role = "code"  # docstrings name their arguments in single backticks
exclude_patterns = ["_build"]

html_theme = "alabaster"
html_theme_options = {"description": "Convolution, whole, for Python.", "page_width": "70em"}
html_show_sphinx = False
html_copy_source = False
