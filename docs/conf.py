"""Sphinx settings. `make docs` builds the pages with warnings as errors; no step needs the network."""

import hashlib
import os
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext")]
# Inherited by the kernels that execute the pages.
os.environ["MATPLOTLIBRC"] = str(HERE / "matplotlibrc")
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # tqdm's, where ipywidgets is missing
os.environ["IPYTHONDIR"] = str(HERE / "_build" / "ipython")  # not the user's own settings
os.environ.setdefault("OMP_NUM_THREADS", "1")
profile = HERE / "_build" / "ipython" / "profile_default"
profile.mkdir(parents=True, exist_ok=True)
(profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 'ERROR'\n")

import manifoldflow  # noqa: E402

project = "manifoldflow"
author = "The manifoldflow authors"
copyright = f"2026, {author}"
version = release = manifoldflow.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "plain_docstrings"]
exclude_patterns = ["_build"]
show_warning_types = True

# Docstrings are plain text: single backticks hold code, as in Markdown.
default_role = "code"
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    # scikit-learn writes these for every estimator; their docstrings refer to its own pages.
    "exclude-members": "set_fit_request, set_score_request, set_transform_request, set_predict_request",
}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
# An executed page is kept until it, the library or the gallery changes.
_sources = sorted([*Path(manifoldflow.__file__).parent.rglob("*.py"), *HERE.glob("gallery/*.py")])
_digest = hashlib.sha256(b"".join(path.read_bytes() for path in _sources)).hexdigest()[:12]
nb_execution_cache_path = str(HERE / "_build" / "executed" / _digest)
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_output_stderr = "error"
nb_merge_streams = True

html_theme = "furo"
html_title = f"manifoldflow {release}"
html_static_path = ["_static"]
html_css_files = ["extra.css"]
html_copy_source = False
html_show_sourcelink = False


def _count_figures(app, doctree):
    """A gallery script that shows nothing leaves a gap that no reader can see."""
    if app.env.docname == "gallery" and app.config.nb_execution_mode != "off":
        scripts = len(list(HERE.glob("gallery/*.py")))
        figures = sum(1 for _ in doctree.findall(nodes.image))
        if figures < scripts:
            logging.getLogger(__name__).warning("gallery: %d scripts, and %d figures", scripts, figures)


def setup(app):
    """What Sphinx calls."""
    app.connect("doctree-read", _count_figures)
