"""Every metric is documented, and registered as it is documented; without the extra there is a clear error."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from smtpx.errors import AuthenticationError, ConnectionLost, PermanentRefusal
from smtpx.flows.outcome import SendResult
from smtpx.protocol import replies
from smtpx.telemetry import ClientTelemetry, MailTelemetry, ServerTelemetry
from smtpx.telemetry.instruments import CLIENT, MAILER, SERVER, SERVER_GAUGES, Instrument, Tools, error_type, fate_of
from tests.telemetry.collected import Collected

DOCUMENT = (Path(__file__).parents[2] / "docs" / "observing.md").read_text(encoding="utf-8")
KINDS = {
    "counter": "counter",
    "histogram": "histogram",
    "up_down_counter": "up-down counter",
    "gauge": "gauge",
    "observable_gauge": "gauge",
}
TYPES = {"counter": "Sum", "histogram": "Histogram", "up_down_counter": "Sum", "gauge": "Gauge"}


def row(instrument: Instrument) -> str:
    attributes = " ".join(f"`{name}`" for name in instrument.attributes)
    kind = KINDS[instrument.kind]
    return f"| `{instrument.name}` | {kind} | `{instrument.unit}` | {instrument.description} | {attributes} |"


def test_the_table_in_the_document_is_what_the_code_registers() -> None:
    documented = [line for line in DOCUMENT.splitlines() if line.startswith(("| `smtpx.", "| `email."))]
    metrics = [line for line in documented if line.count("|") == 6]
    assert metrics == [row(each) for each in SERVER + SERVER_GAUGES + CLIENT + MAILER]


@pytest.mark.parametrize("instrument", SERVER + CLIENT + MAILER, ids=lambda each: each.name)
def test_it_is_registered_so(instrument: Instrument) -> None:
    collected = Collected()
    tools = Tools([instrument], collected.meters, collected.tracers)
    labels = dict.fromkeys(instrument.attributes, "x")
    if instrument.kind == "histogram":
        tools.record(instrument.name, 1.5, labels)
    elif instrument.kind == "gauge":
        tools.set(instrument.name, 1.5)
    else:
        tools.add(instrument.name, 2, labels)
    found = collected.metrics()[instrument.name]
    assert (found.unit, found.description) == (instrument.unit, instrument.description)
    assert type(found.data).__name__ == TYPES[instrument.kind]
    if instrument.kind not in ("histogram", "gauge"):
        assert found.data.is_monotonic is (instrument.kind == "counter")


def test_a_gauge_is_read_when_somebody_collects() -> None:
    collected = Collected()
    tools = Tools((), collected.meters, collected.tracers)
    values: list[float | None] = [None, 7.5, 8.5]
    tools.gauge(SERVER_GAUGES[0], lambda: values.pop(0))
    assert collected.points(SERVER_GAUGES[0].name) == []
    found = collected.metrics()[SERVER_GAUGES[0].name]
    assert (found.unit, found.description) == (SERVER_GAUGES[0].unit, SERVER_GAUGES[0].description)
    assert [point.value for point in found.data.data_points] == [7.5]
    assert collected.points(SERVER_GAUGES[0].name) == [({}, 8.5)]


def test_the_alerts_in_the_document_are_about_metrics_that_there_are() -> None:
    """By the names that the SDK's exporter for Prometheus gives them."""
    (alerts,) = re.findall(r"```yaml\n(- alert.*?)```", DOCUMENT, re.DOTALL)
    units = {"ms": "_milliseconds", "s": "_seconds", "By": "_bytes"}
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    there = {
        each.name.replace(".", "_").removesuffix("_total") + units.get(each.unit, "") + ending
        for each in SERVER + CLIENT + MAILER
        for ending in endings.get(each.kind, ("",))
    }
    used = set(re.findall(r"\b(?:smtpx|email)_\w+", alerts))
    assert len(used) == 4
    assert used <= there


def test_names_are_unique() -> None:
    names = [each.name for each in SERVER + SERVER_GAUGES + CLIENT + MAILER]
    assert len(names) == len(set(names))


def test_spans_may_be_over_when_they_are_made() -> None:
    collected = Collected()
    tools = Tools((), collected.meters, collected.tracers)
    tools.span("x", tools.trace.SpanKind.CLIENT, 1.5, {"smtpx.stage": "mail"})
    span = collected.span("x")
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == 1_500_000_000
    tools.span("y", tools.trace.SpanKind.CLIENT, 0, {}, "550")
    assert collected.span("y").status.description == "550"


def test_the_type_of_an_error_is_bounded() -> None:
    assert error_type(PermanentRefusal(replies.TOO_LARGE)) == "552"
    assert error_type(AuthenticationError("x", mechanism="PLAIN")) == "AuthenticationError"
    assert error_type(AuthenticationError("x", mechanism="PLAIN", reply=replies.BAD_CREDENTIALS)) == "535"
    assert error_type(ConnectionLost("gone to a@b.example")) == "ConnectionLost"


@pytest.mark.parametrize("kind", [ServerTelemetry, ClientTelemetry, MailTelemetry])
def test_without_the_extra_the_error_names_it(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ValueError, match=r"^this needs smtpx\[otel\]: pip install 'smtpx\[otel\]'$"):
        kind()


def test_importing_it_loads_nothing() -> None:
    code = "import sys, smtpx.telemetry; print(any(name.startswith('opentelemetry') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_fate_is_code_and_kind_and_makes_a_span_an_error() -> None:
    refused = PermanentRefusal(replies.TOO_LARGE)
    assert fate_of(None, refused) == {"smtp.reply.code": 552, "error.type": "552"}
    assert fate_of(SendResult({}, {}, replies.TOO_LARGE), None) == {"smtp.reply.code": 552}
    assert fate_of(None, ConnectionLost("gone to a@b.example")) == {"error.type": "ConnectionLost"}
    assert fate_of(None, None) == {}
    collected = Collected()
    tools = Tools((), collected.meters, collected.tracers)
    tools.close(tools.tracer.start_span("bad"), fate_of(None, refused))
    tools.close(tools.tracer.start_span("good"), fate_of(None, None))
    assert collected.span("bad").status.description == "552"
    assert collected.span("good").status.description is None
