"""Metrics and spans by OpenTelemetry for servers, clients and mailers: what observers are told, under fixed names.

Needs smtpx[otel]; the application brings the SDK. Names, units and attributes: docs/observing.md.
"""

from smtpx.telemetry.client import ClientTelemetry
from smtpx.telemetry.mail import MailTelemetry
from smtpx.telemetry.server import ServerTelemetry

__all__ = ["ClientTelemetry", "MailTelemetry", "ServerTelemetry"]
