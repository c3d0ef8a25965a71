"""A private Postfix: own configuration, queue and Maildirs below one directory, loopback only."""

import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pwd import getpwnam
from shutil import chown

from .certificates import Certificates
from .children import Child, Log, free_port
from .maildirs import Maildir

__all__ = ["Account", "Plan", "Postfix"]

# Backstop for a run that is killed so hard that nobody stops the master: it ends by itself.
_LIFETIME_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Account:
    """A name and a password for AUTH."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What one instance is for.

    `listeners` maps a name to the options of one smtpd port; `mailboxes` maps addresses to the
    names of their Maildirs; `services` are further lines of master.cf; `tables` are lookup files
    to write into the configuration directory, readable there as `texthash:$config_directory/NAME`.
    """

    listeners: Mapping[str, Mapping[str, str]]
    settings: Mapping[str, str] = field(default_factory=dict)
    mailboxes: Mapping[str, str] = field(default_factory=dict)
    accounts: Sequence[Account] = ()
    mechanisms: str = "PLAIN LOGIN"
    services: Sequence[str] = ()
    tables: Mapping[str, str] = field(default_factory=dict)


class Postfix:
    """A running instance; leaving the `with` block stops it."""

    def __init__(self, directory: Path, plan: Plan, certificates: Certificates) -> None:
        self.directory = directory
        self._plan = plan
        self._ports = {name: free_port() for name in plan.listeners}
        self._lay_out(certificates)
        _run("postfix", "-c", str(self._etc), "check")
        self._child = Child(
            "postfix master",
            [_daemons() / "master", "-c", self._etc, "-s", "-e", str(_LIFETIME_SECONDS)],
            directory / "master.log",
            environment={"MAIL_CONFIG": str(self._etc)},
        )
        self.log = Log(f"postfix ({directory.name})", self._log_path)

    def __enter__(self) -> "Postfix":
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
        """The loopback port of a listener of the plan."""
        return self._ports[listener]

    def maildir(self, name: str) -> Maildir:
        """The Maildir that the plan's `mailboxes` call by that name."""
        return Maildir(self.directory / "mail" / name)

    def inject(self, octets: bytes, sender: str, recipients: Sequence[str]) -> None:
        """Put a message into the queue as a local program would, by the sendmail command."""
        # sendmail takes Unix lines; -i keeps a line of one dot from ending the message.
        content = octets.replace(b"\r\n", b"\n")
        _run("sendmail", "-C", str(self._etc), "-i", "-f", sender, "--", *recipients, content=content)

    @property
    def _etc(self) -> Path:
        return self.directory / "etc"

    @property
    def _log_path(self) -> Path:
        return self.directory / "maillog"

    def _lay_out(self, certificates: Certificates) -> None:
        for name in ("etc", "etc/sasl", "queue", "data", "mail"):
            (self.directory / name).mkdir(mode=0o755)
        chown(self.directory / "data", "postfix")
        chown(self.directory / "mail", "nobody")
        self._write_main(certificates)
        self._write_master()
        self._write_table("mailboxes", "".join(f"{a} {m}/\n" for a, m in self._plan.mailboxes.items()))
        for name, content in self._plan.tables.items():
            self._write_table(name, content)
        self._write_accounts()

    def _write_main(self, certificates: Certificates) -> None:
        nobody = getpwnam("nobody")
        settings = {
            **_MAIN,
            "queue_directory": str(self.directory / "queue"),
            "data_directory": str(self.directory / "data"),
            "maillog_file": str(self._log_path),
            "maillog_file_prefixes": str(self.directory),
            "virtual_mailbox_base": str(self.directory / "mail"),
            "virtual_mailbox_domains": " ".join(sorted(_domains(self._plan.mailboxes))),
            "virtual_uid_maps": f"static:{nobody.pw_uid}",
            "virtual_gid_maps": f"static:{nobody.pw_gid}",
            "smtpd_tls_chain_files": str(certificates.key_and_chain),
            "smtp_tls_CAfile": str(certificates.authority),
            "cyrus_sasl_config_path": str(self._etc / "sasl"),
            **self._plan.settings,
        }
        (self._etc / "main.cf").write_text("".join(f"{n} = {v}\n" for n, v in settings.items()))

    def _write_master(self) -> None:
        lines = [_MASTER, *self._plan.services]
        for name, options in self._plan.listeners.items():
            lines.append(f"127.0.0.1:{self._ports[name]} inet n - n - - smtpd")
            lines.append(f"  -o {{ syslog_name = postfix/{name} }}")
            lines.extend(f"  -o {{ {key} = {value} }}" for key, value in options.items())
        (self._etc / "master.cf").write_text("\n".join(lines) + "\n")

    def _write_table(self, name: str, content: str) -> None:
        (self._etc / name).write_text(content, encoding="utf-8")

    def _write_accounts(self) -> None:
        # The SQL plug-in of Cyrus SASL reads a file: no daemon, and the passwords can serve
        # challenge-response mechanisms too.
        database = self._etc / "sasl" / "accounts.sqlite"
        with sqlite3.connect(database) as accounts:
            accounts.execute("CREATE TABLE accounts (name TEXT, password TEXT)")
            rows = [(account.user, account.password) for account in self._plan.accounts]
            accounts.executemany("INSERT INTO accounts VALUES (?, ?)", rows)
        accounts.close()
        content = _SASL.format(mechanisms=self._plan.mechanisms, database=database)
        (self._etc / "sasl" / "smtpd.conf").write_text(content)


def _daemons() -> Path:
    # Not by `postfix start`: the master must be our own child, to be ended for certain.
    return Path(_run("postconf", "-d", "-h", "daemon_directory").strip())


def _domains(mailboxes: Mapping[str, str]) -> set[str]:
    return {address.rpartition("@")[2] for address in mailboxes}


def _run(*command: str, content: bytes | None = None) -> str:
    done = subprocess.run(command, input=content, capture_output=True, timeout=60)
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{output}")
    return output


# Octets are compared at the far end, so everything that edits messages is switched off.
_MAIN = {
    "compatibility_level": "3.6",
    "inet_interfaces": "127.0.0.1",
    "inet_protocols": "ipv4",
    "smtp_host_lookup": "native",
    "lmtp_host_lookup": "native",
    "myhostname": "localhost",
    "mydomain": "localdomain",
    "mydestination": "",
    "mynetworks": "",
    "alias_maps": "",
    "alias_database": "",
    "local_recipient_maps": "",
    "local_transport": "error:no local delivery here",
    "virtual_mailbox_maps": "texthash:$config_directory/mailboxes",
    "local_header_rewrite_clients": "",
    "message_drop_headers": "",
    "mailbox_size_limit": "0",
    "virtual_mailbox_limit": "0",
    "message_size_limit": "33554432",
    "in_flow_delay": "0",
    "queue_run_delay": "2s",
    "minimal_backoff_time": "2s",
    "maximal_backoff_time": "4s",
    "smtputf8_enable": "yes",
    "smtpd_peername_lookup": "no",
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject",
    "smtpd_recipient_restrictions": "",
    "smtpd_error_sleep_time": "0",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_client_connection_rate_limit": "0",
    "smtpd_tls_auth_only": "yes",
    "smtpd_tls_loglevel": "1",
    "smtpd_tls_received_header": "yes",
    "smtpd_sasl_security_options": "noanonymous",
    "smtp_tls_loglevel": "1",
}

_MASTER = """\
pickup    unix  n - n 60  1 pickup
cleanup   unix  n - n -   0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n -   - trivial-rewrite
bounce    unix  - - n -   0 bounce
defer     unix  - - n -   0 bounce
trace     unix  - - n -   0 bounce
proxymap  unix  - - n -   - proxymap
smtp      unix  - - n -   - smtp
lmtp      unix  - - n -   - lmtp
error     unix  - - n -   - error
retry     unix  - - n -   - error
discard   unix  - - n -   - discard
virtual   unix  - n n -   - virtual
anvil     unix  - - n -   1 anvil
showq     unix  n - n -   - showq
postlog   unix-dgram n - n - 1 postlogd"""

_SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sql
mech_list: {mechanisms}
sql_engine: sqlite3
sql_database: {database}
sql_select: SELECT password FROM accounts WHERE name = '%u'
"""
