"""The Chromium of this machine, for tests in a real browser.

Task: T-029 · Spec: plan.md#browser-tests
"""

import os
import shutil

MISSING = "no Chromium is installed (apt install chromium, or set CHROMIUM)"

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def installed() -> str | None:
    """The path of the one that `CHROMIUM` names, or of one on PATH; None where there is none."""
    names = (os.environ.get("CHROMIUM"), *_NAMES)
    return next(filter(None, (shutil.which(name) for name in names if name)), None)
