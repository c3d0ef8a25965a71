"""A private Exim: own configuration, spool and Maildirs below one directory, loopback only."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import chown

from .certificates import CLIENT, Certificates
from .children import Child, Log, free_port
from .maildirs import Maildir
from .postfix import Account

__all__ = ["Exim", "Way"]

_USER = "Debian-exim"
_LISTENERS = ("submission", "submissions", "plain", "intake")


@dataclass(frozen=True, slots=True)
class Way:
    """How to send on what is for a domain: options of a transport, by default the one named smtp."""

    domain: str
    port: int
    options: Mapping[str, str] = field(default_factory=dict)
    driver: str = "smtp"


class Exim:
    """A running instance; leaving the `with` block stops it.

    It listens for STARTTLS ("submission"), with TLS from the start ("submissions"), both with AUTH, and without either
    ("plain", "intake"); what `mailboxes` name is delivered, domains of `ways` are sent on. Nothing is tried twice.
    """

    def __init__(
        self,
        directory: Path,
        certificates: Certificates,
        account: Account,
        *,
        mailboxes: Mapping[str, str] | None = None,
        ways: Sequence[Way] = (),
    ) -> None:
        self.directory = directory
        self._ports = {name: free_port() for name in _LISTENERS}
        self._lay_out(certificates, account, mailboxes or {}, ways)
        self._child = Child("exim daemon", [_program(), "-C", self._configuration, "-bdf"], directory / "daemon.log")
        self.log = Log(f"exim ({directory.name})", directory / "log" / "mainlog")
        chown(self.log.path, _USER, _USER)

    def __enter__(self) -> "Exim":
        try:
            for port in self._ports.values():
                self._child.wait_for_port(port)
        except BaseException as error:
            self._child.stop()
            error.add_note(self.log.text())
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    def port(self, listener: str) -> int:
        """The loopback port of a listener."""
        return self._ports[listener]

    def maildir(self, name: str) -> Maildir:
        """The Maildir that `mailboxes` call by that name."""
        return Maildir(self.directory / "mail" / name)

    @property
    def _configuration(self) -> Path:
        return self.directory / "exim.conf"

    def _lay_out(
        self, certificates: Certificates, account: Account, mailboxes: Mapping[str, str], ways: Sequence[Way]
    ) -> None:
        for name in ("spool", "log", "mail"):
            (self.directory / name).mkdir(mode=0o755)
            chown(self.directory / name, _USER, _USER)
        # Certificates of the run are root's; Exim reads its own as its own user.
        copies = {
            "chain.pem": certificates.chain,
            "key.pem": certificates.key,
            "client.pem": certificates.client_key_and_chain,
        }
        for name, source in copies.items():
            chown(shutil.copy(source, self.directory / name), _USER, _USER)
        names = {address.rpartition("@")[0]: name for address, name in mailboxes.items()}
        (self.directory / "mailboxes").write_text("".join(f"{part}: {name}\n" for part, name in names.items()))
        settings = {
            "directory": self.directory,
            "program": _program(),
            "user": _USER,
            "authority": certificates.authority,
            "name": account.user,
            "client": CLIENT,
            "password": account.password,
            "listed": account.password.replace(":", "::"),  # a colon ends an item of a list
            "ports": " : ".join(map(str, self._ports.values())),
            "implicit": self._ports["submissions"],
            "submission": self._ports["submission"],
            "domains": " : ".join(sorted({address.rpartition("@")[2] for address in mailboxes})),
            "routers": "".join(map(_router, ways)),
            "transports": "".join(map(_transport, ways)),
        }
        text = _CONFIGURATION
        for name, value in settings.items():
            text = text.replace(f"@{name}@", str(value))
        self._configuration.write_text(text)
        done = subprocess.run(
            [_program(), "-C", self._configuration, "-bV"], capture_output=True, text=True, timeout=30
        )
        if done.returncode:
            raise RuntimeError(f"Exim does not like its configuration:\n{done.stdout}{done.stderr}")


def _program() -> str:
    return str(Path(shutil.which("exim4") or "exim4").resolve())


def _label(way: Way) -> str:
    return re.sub(r"\W", "_", way.domain)


def _router(way: Way) -> str:
    return (
        f"{_label(way)}:\n  driver = manualroute\n  domains = {way.domain}\n  transport = {_label(way)}\n"
        f"  route_list = * localhost byname\n  self = send\n\n"
    )


def _transport(way: Way) -> str:
    options = {"port": way.port, **way.options} if way.port else way.options
    lines = "".join(f"  {name} = {value}\n" for name, value in options.items())
    return f"{_label(way)}:\n  driver = {way.driver}\n{lines}\n"


# Octets are compared at the far end, so nothing may edit messages.
_CONFIGURATION = """\
exim_path = @program@
spool_directory = @directory@/spool
log_file_path = @directory@/log/%slog
pid_file_path = @directory@/exim.pid
exim_user = @user@
exim_group = @user@
deliver_drop_privilege
primary_hostname = localhost
disable_ipv6
local_interfaces = 127.0.0.1
daemon_smtp_ports = @ports@
tls_on_connect_ports = @implicit@
tls_certificate = @directory@/chain.pem
tls_privatekey = @directory@/key.pem
tls_verify_certificates = @authority@
tls_try_verify_hosts = *
tls_advertise_hosts = ${if eq{$received_port}{@submission@}{*}{}}
auth_advertise_hosts = ${if def:tls_in_cipher{*}{}}
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
pipelining_connect_advertise_hosts =
prdr_enable
message_size_limit = 32M
host_lookup =
rfc1413_hosts =
keep_environment =
smtp_accept_queue_per_connection = 0
smtp_accept_max = 100
no_local_from_check
log_selector = +all -arguments
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
acl_smtp_mail = accept

begin acl

rcpt:
  deny condition = ${if or{{eq{$received_port}{@implicit@}}{eq{$received_port}{@submission@}}}}
       !authenticated = *
       message = 5.7.0 Authentication required
  deny domains = @domains@
       ! local_parts = lsearch;@directory@/mailboxes
       message = 5.1.1 no such mailbox
  accept

begin routers

@routers@
mailboxes:
  driver = accept
  domains = @domains@
  local_parts = lsearch;@directory@/mailboxes
  transport = maildir

begin transports

maildir:
  driver = appendfile
  maildir_format
  directory = @directory@/mail/$local_part_data
  create_directory
  user = @user@
  return_path_add
  delivery_date_add = false
  envelope_to_add = false

@transports@
begin authenticators

# Before passwords: a client that shows a certificate means it.
external:
  driver = external
  public_name = EXTERNAL
  server_advertise_condition = ${if eq{$tls_in_certificate_verified}{1}}
  server_param2 = ${certextract{subj_altname,mail,>:}{$tls_in_peercert}}
  server_condition = ${if forany{$auth2}{eq{$item}{$auth1}}}
  server_set_id = $auth1
  client_send = @client@
  client_condition = ${if match{$transport_name}{external_}}

cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${if eq{$auth1}{@name@}{@password@}fail}
  server_set_id = $auth1
  client_name = @name@
  client_secret = ${if match{$transport_name}{wrong}{not-the-one}{@password@}}
  client_condition = ${if match{$transport_name}{plain_|login_|external_}{no}{yes}}

plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{@name@}}{eq{$auth3}{@password@}}}}
  server_set_id = $auth2
  client_send = ^@name@^${if match{$transport_name}{wrong}{not-the-one}{@listed@}}
  client_condition = ${if match{$transport_name}{login_|external_}{no}{yes}}

login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = User Name : Password
  server_condition = ${if and{{eq{$auth1}{@name@}}{eq{$auth2}{@password@}}}}
  server_set_id = $auth1
  client_send = : @name@ : @listed@
  client_condition = ${if match{$transport_name}{external_}{no}{yes}}
"""
