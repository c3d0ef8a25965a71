"""A private Dovecot: LMTP, and logins for Postfix to ask about; everything below one directory, loopback only."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from pathlib import Path
from pwd import getpwnam
from shutil import chown

from .certificates import Certificates
from .children import Child, Log, free_port, wait_until
from .maildirs import Maildir
from .postfix import Account

__all__ = ["Dovecot", "make_token"]

_KEY = b"a key that only this test and its Dovecot know"
_LISTENERS = ("lmtp", "lmtps", "auth")


class Dovecot:
    """A running instance; leaving the `with` block stops it.

    It listens for LMTP with STARTTLS ("lmtp"), with TLS from the start ("lmtps"), on the unix socket `lmtp_socket`, and
    answers Postfix's questions about logins ("auth"): by password, and by a token of `make_token`.
    """

    def __init__(self, directory: Path, certificates: Certificates, account: Account, users: Sequence[str]) -> None:
        self.directory = directory
        self._ports = {name: free_port() for name in _LISTENERS}
        self._lay_out(certificates, account, users)
        self._child = Child("dovecot", ["dovecot", "-F", "-c", directory / "dovecot.conf"], directory / "start.log")
        self.log = Log(f"dovecot ({directory.name})", directory / "dovecot.log")

    def __enter__(self) -> "Dovecot":
        try:
            for port in self._ports.values():
                self._child.wait_for_port(port)
            wait_until(self.lmtp_socket.exists, timeout_seconds=20)
        except BaseException as error:
            self._child.stop()
            error.add_note(self.log.text())
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    @property
    def lmtp_socket(self) -> Path:
        """Where LMTP is spoken without TCP."""
        return self.directory / "run" / "lmtp"

    def port(self, listener: str) -> int:
        """The loopback port of a listener."""
        return self._ports[listener]

    def maildir(self, user: str) -> Maildir:
        """The Maildir of a user."""
        return Maildir(self.directory / "mail" / user)

    def _lay_out(self, certificates: Certificates, account: Account, users: Sequence[str]) -> None:
        for name in ("run", "state", "mail", "keys/default/HS256"):
            (self.directory / name).mkdir(mode=0o755, parents=True)
        chown(self.directory / "mail", "nobody")
        (self.directory / "users").write_text("".join(f"{user}:::::::\n" for user in users))
        (self.directory / "keys" / "default" / "HS256" / "default").write_bytes(base64.b64encode(_KEY))
        (self.directory / "oauth2").write_text(_OAUTH2.replace("@directory@", str(self.directory)))
        nobody = getpwnam("nobody")
        settings = {
            "directory": self.directory,
            "chain": certificates.chain,
            "key": certificates.key,
            "uid": nobody.pw_uid,
            "gid": nobody.pw_gid,
            "name": account.user,
            "password": account.password.replace("%", "%%"),
            **self._ports,
        }
        text = _CONFIGURATION
        for name, value in settings.items():
            text = text.replace(f"@{name}@", str(value))
        (self.directory / "dovecot.conf").write_text(text)


def make_token(user: str) -> str:
    """An access token that such a Dovecot takes: a JSON Web Token (RFC 7519) signed with its key."""
    now = int(time.time())
    claims = {"sub": user, "iat": now - 60, "exp": now + 3600}
    parts = [_encoded(json.dumps(each).encode()) for each in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signature = hmac.digest(_KEY, ".".join(parts).encode(), hashlib.sha256)
    return ".".join([*parts, _encoded(signature)])


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


# Octets are compared at the far end, so nothing may edit messages.
_CONFIGURATION = """\
base_dir = @directory@/run
state_dir = @directory@/state
log_path = @directory@/dovecot.log
protocols = lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <@chain@
ssl_key = <@key@
hostname = localhost
first_valid_uid = 1
mail_location = maildir:@directory@/mail/%n
recipient_delimiter = +
lmtp_save_to_detail_mailbox = no
lmtp_rcpt_check_quota = no
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 oauthbearer xoauth2
auth_verbose = yes
auth_failure_delay = 0

passdb {
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = @directory@/oauth2
}
passdb {
  driver = static
  mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
  username_filter = @name@
  args = password=@password@
}
userdb {
  driver = passwd-file
  args = username_format=%n @directory@/users
  default_fields = uid=@uid@ gid=@gid@ home=@directory@/mail/%n
}

service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
  inet_listener lmtp {
    address = 127.0.0.1
    port = @lmtp@
  }
  inet_listener lmtps {
    address = 127.0.0.1
    port = @lmtps@
    ssl = yes
  }
}
service anvil {
  # Without it nobody is slowed down for wrong passwords.
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  inet_listener postfix {
    address = 127.0.0.1
    port = @auth@
  }
}
"""

_OAUTH2 = """\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix=@directory@/keys/
username_attribute = sub
"""
