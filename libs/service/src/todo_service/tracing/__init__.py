"""Whether there are traces: OpenTelemetry's own variables say so, and without them its SDK is not imported.

Task: T-046 · Spec: plan.md#tracing
"""

import os
from importlib.util import find_spec
from urllib.parse import urlsplit

from todo_service.settings import SettingsError
from todo_service.tracing.spans import Tracing

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
_PROTOCOL = "http/protobuf"


def check() -> bool:
    """Whether traces are wanted: an endpoint is set, and neither `OTEL_SDK_DISABLED=true` nor
    `OTEL_TRACES_EXPORTER=none`.

    These variables are read from the environment alone, never from `.env`: the SDK reads the others of their
    kind there by itself
    (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).

    Raises SettingsError where traces are wanted and cannot be: an endpoint that is no URL, a protocol that is
    not spoken here, missing packages.
    """
    endpoints = {name: value for name in _ENDPOINTS if (value := os.environ.get(name))}
    is_off = (
        os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        or os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    )
    if not endpoints or is_off:
        return False
    problems = [
        f"{name}: must be an http:// or https:// URL."
        for name, value in endpoints.items()
        if urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname
    ]
    problems += [
        f"{name}: only {_PROTOCOL} is spoken."
        for name in _PROTOCOLS
        if os.environ.get(name, _PROTOCOL) not in ("", _PROTOCOL)
    ]
    if not _is_installed():
        problems.append(f"{next(iter(endpoints))}: traces need the packages of the extra `otel`.")
    if problems:
        raise SettingsError(problems)
    return True


def from_environment(service_name: str, *, is_edge: bool = False) -> Tracing | None:
    """What spans are made with, None where traces are not wanted (`check`). To be called once in each
    process that serves.

    `service_name`: where the environment names none. `is_edge`: as of `Export`.
    """
    if not check():
        return None
    from todo_service.tracing.export import Export

    return Tracing(Export(service_name, is_edge=is_edge))


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False
