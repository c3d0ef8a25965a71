"""Who looks on need not look at everything."""

from smtpx.client.observer import ClientConnectionObserver, ClientObserver, MessageObserver
from smtpx.net.targets import Target
from smtpx.protocol import replies
from smtpx.protocol.capabilities import NOTHING_OFFERED
from smtpx.protocol.facts import TLSFacts
from tests.client.watching import EVENTS


def test_observers_that_override_nothing_do_nothing() -> None:
    target = Target("mail.example.org", 25)
    observer = ClientObserver()
    assert observer.message_started(target, bulk=False) is None
    assert observer.connection_started("c1", target) is None
    assert MessageObserver().ended(None, ValueError()) is None  # type: ignore[func-returns-value]
    connection = ClientConnectionObserver("c1", target)
    assert (connection.id, connection.target) == ("c1", target)
    arguments = {
        "attempt_failed": ("127.0.0.1:25", "refused"),
        "connected": ("127.0.0.1:25", 0.1),
        "open_failed": (ValueError(), 0.1),
        "tls_started": (TLSFacts("TLSv1.3", "x"), 0.1),
        "hello": (NOTHING_OFFERED,),
        "authenticated": ("PLAIN", replies.AUTHENTICATED, 0.1),
        "command": ("NOOP", "NOOP"),
        "reply": ("NOOP", replies.OK),
        "transaction_started": ("c1.1",),
        "transaction_ended": (None,),
        "closed": (0, 0.1),
    }
    assert {*arguments} == {*EVENTS}
    assert [getattr(connection, name)(*given) for name, given in arguments.items()] == [None] * len(EVENTS)
