"""What a server offers."""

from smtpx.extensions import Auth, Size
from smtpx.protocol.capabilities import NOTHING_OFFERED, Capabilities
from smtpx.wire.reply import Reply


def offered(*lines: str) -> Capabilities:
    return Capabilities.from_reply(Reply(250, None, ("x.example", *lines)))


def test_d27_j11_keywords_count_without_case_and_leading_spaces() -> None:
    found = offered("starttls", "Size 10", " auth plain", "", "XYZ foo  bar")
    assert list(found) == ["STARTTLS", "SIZE", "AUTH", "XYZ"]
    assert found["size"] == "10"
    assert "StartTLS" in found
    assert 5 not in found
    assert found["XYZ"] == "foo bar"
    assert len(found) == 4
    assert found.offer("xyz") == ("foo", "bar")
    assert found.offer("none") is None


def test_p30_old_form_of_auth_and_union() -> None:
    assert offered("AUTH=LOGIN PLAIN", "AUTH plain cram-md5")["AUTH"] == "LOGIN PLAIN CRAM-MD5"
    assert offered("auth=login login")["AUTH"] == "LOGIN"


def test_rfc5321_4_1_1_1_keywords_are_ascii() -> None:
    """Letters beyond it may become ASCII, or more letters, when their case is changed."""
    assert list(offered("\u017fIZE 5", "FUTURERELEAX\u0130", "\u017ftarttls", "SIZE 7 \u0130")) == ["SIZE"]


def test_last_counts_otherwise() -> None:
    assert offered("SIZE 1", "SIZE 2")["SIZE"] == "2"


def test_the_first_line_is_a_name() -> None:
    assert dict(Capabilities.from_reply(Reply(250, None, ("SIZE 1",)))) == {}


def test_get_by_name_and_by_extension() -> None:
    found = offered("SIZE 10", "AUTH PLAIN")
    assert found.get("size") == "10"
    assert found.get("x") is None
    assert found.get("x", "y") == "y"
    assert found.get(Size) == 10
    assert found.get(Auth) == ("PLAIN",)
    assert NOTHING_OFFERED.get(Size) is None
    assert offered("SIZE").get(Size) is None


class Mine:
    keyword = "XMine"

    @staticmethod
    def learn(offer: tuple[str, ...]) -> int:
        return len(offer)


def test_an_extension_of_ones_own_may_write_its_keyword_as_it_likes() -> None:
    assert offered("xmine a b").get(Mine) == 2


def test_repr() -> None:
    assert repr(offered("SIZE 10")) == "Capabilities({'SIZE': '10'})"
