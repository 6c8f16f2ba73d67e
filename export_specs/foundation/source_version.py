"""Which version and commit of our sources runs, and of when it is."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from export_specs.foundation.code_version import ROOT
from export_specs.foundation.errors import UserError

UNKNOWN = "unknown"


@dataclass(frozen=True)
class SourceVersion:
    """``commit``: its digest, UNKNOWN where there is no checkout. ``date``: of the commit, in seconds since 1970; None where nothing tells.
    ``changed``: files that git follows are no longer those of the commit."""

    commit: str
    date: int | None
    changed: bool


def product_version() -> str:
    """The version of the installed product; UNKNOWN in a checkout that was never installed."""
    try:
        return version("fqss-deploy")
    except PackageNotFoundError:
        return UNKNOWN


def source_version(root: Path = ROOT) -> SourceVersion:
    """The version of the checkout at ``root``; in a container, which has none, what SOURCE_COMMIT and SOURCE_DATE_EPOCH say.

    Raises:
        UserError: SOURCE_DATE_EPOCH is no number of seconds.
    """
    ours = _git(root, "rev-parse", "--show-toplevel") == str(root.resolve())  # and not a checkout of others in which we are installed
    commit, stated = os.environ.get("SOURCE_COMMIT", ""), stated_date()
    if commit or not ours:
        return SourceVersion(commit or UNKNOWN, stated, False)
    date = int(_git(root, "show", "-s", "--format=%ct", "HEAD") or 0) if stated is None else stated
    changed = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    return SourceVersion(_git(root, "rev-parse", "HEAD") or UNKNOWN, date, changed)


def stated_date() -> int | None:
    """SOURCE_DATE_EPOCH, seconds since 1970 (reproducible-builds.org); None where it is not set.

    Raises:
        UserError: it is no such number.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if text and not text.isdecimal():
        raise UserError(f"SOURCE_DATE_EPOCH={text} is no number of seconds since 1970, as `date +%s` prints it")
    return int(text) if text else None


def _git(root: Path, *arguments: str) -> str:
    """What git answers; "" where it is not installed or refuses."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
