"""Metrics and spans by OpenTelemetry, for servers and clients: what their observers are told, under fixed names.

Needs smtpx[otel]; the application brings the SDK. Names, units and attributes: docs/observing.md.
"""

from smtpx.telemetry.client import ClientTelemetry
from smtpx.telemetry.server import ServerTelemetry

__all__ = ["ClientTelemetry", "ServerTelemetry"]
