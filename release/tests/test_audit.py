"""A clean audit is believed only from someone who was asked. The reports are pip-audit's own.

Task: T-061 · Spec: plan.md#hygiene
"""

from typing import Any

from release.audit import KNOWN, judge

KNOWN_IS_FOUND = {
    "name": KNOWN[0],
    "version": KNOWN[1],
    "vulns": [{"id": "PYSEC-2021-66", "fix_versions": ["2.11.3"], "aliases": ["CVE-2020-28493"]}],
}
CLEAN = {"name": "httpx", "version": "0.28.1", "vulns": []}
SKIPPED = {
    "name": "jinja2",
    "skip_reason": "Dependency not found on PyPI and could not be audited: jinja2 (2.11.2)",
}


def report(*dependencies: dict[str, Any]) -> dict[str, Any]:
    return {"dependencies": list(dependencies), "fixes": []}


def test_a_lock_without_known_vulnerabilities_is_good() -> None:
    assert judge(report(CLEAN)) == []


def test_a_vulnerable_version_is_named_with_what_mends_it() -> None:
    assert judge(report(CLEAN, KNOWN_IS_FOUND)) == ["jinja2 2.11.2: PYSEC-2021-66; fixed in 2.11.3."]


def test_what_could_not_be_asked_about_is_no_clean_audit() -> None:
    [sentence] = judge(report(SKIPPED), KNOWN)
    assert sentence.startswith("Could not ask about 1 of 1 packages (jinja2, for one)")


def test_a_source_that_knows_of_no_vulnerability_is_worth_nothing() -> None:
    assert judge(report(KNOWN_IS_FOUND), KNOWN) == []
    [sentence] = judge(report({**KNOWN_IS_FOUND, "vulns": []}), KNOWN)
    assert "worth nothing" in sentence
