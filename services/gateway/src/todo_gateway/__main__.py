"""`todo-gateway serve`: the gateway as a process.

Task: T-026 · Spec: plan.md#gateway-app
"""

import argparse
from contextlib import nullcontext
from functools import partial

from todo_service import logs, metrics, server, settings, tracing

from todo_gateway import framing, seeds
from todo_gateway.settings import GatewaySettings


def main() -> None:
    """Reads the environment, says everything that is wrong with it at once, and serves."""
    parser = argparse.ArgumentParser(
        prog="todo-gateway", description="The gateway in front of the tasks service."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve until SIGTERM or Ctrl-C")
    commands.add_parser("check", help="check the settings and end")
    command = parser.parse_args().command
    try:
        configured = settings.load(GatewaySettings)
        tracing.check()
        logs.configure(configured.log_level, as_json=configured.env == "production")
        if command == "serve":
            _serve(configured)
    except settings.SettingsError as error:
        settings.refuse(error)


def _serve(configured: GatewaySettings) -> None:
    head_bytes = configured.max_target_bytes + configured.max_header_bytes
    limits = framing.Limits(head_bytes, configured.head_timeout, configured.max_connections)
    measured = metrics.serving(
        configured.gateway_metrics_port,
        host=configured.gateway_metrics_host,
        port_setting="GATEWAY_METRICS_PORT",
        workers=configured.gateway_workers,
    )
    with measured, seeds.shared() if configured.gateway_workers > 1 else nullcontext():
        server.serve(
            "todo_gateway.app:from_environment",
            host=configured.gateway_host,
            port=configured.gateway_port,
            port_setting="GATEWAY_PORT",
            workers=configured.gateway_workers,
            http=partial(framing.StrictProtocol, limits=limits),
            drain=server.Drain(configured.drain_delay, configured.drain_timeout),
        )


if __name__ == "__main__":
    main()
