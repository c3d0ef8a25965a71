"""Send every example message through smtpx, and compare what arrives with what was sent.

A server of its own (`python -m smtpx serve`), a client of its own, and between them all that mail
on the Internet should have: STARTTLS with a certificate that is verified, and a password.
`scripts/demo` prepares the environment and runs this. The exit status is 0 only when every message
arrived octet by octet.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import secrets
import shutil
import signal
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from certificates import Certificates, make_certificates
from letters import Letter, compare, read_letters, read_maildir
from make_messages import MESSAGES, write_messages
from recipes import GENERATED
from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import smtpx

START_SECONDS = 10.0
STOP_SECONDS = 10.0
SEND_SECONDS = 60.0

# What a shell reports of a program ended by these signals: 128 and the signal's number.
INTERRUPTED = 130
TERMINATED = 143


class DemoError(Exception):
    """Something that makes it pointless to go on; its text is for the reader."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A letter that the server has taken, and what it said."""

    letter: Letter
    result: smtpx.SendResult


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration, and return the exit status."""
    options = parse_options(arguments)
    console = open_console()
    try:
        with workshop(console, keep=options.keep) as directory:
            return asyncio.run(demonstrate(options, directory, console))
    except (DemoError, smtpx.SMTPXError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; everything is cleaned up", file=sys.stderr)
        return INTERRUPTED
    except asyncio.CancelledError:
        return TERMINATED
    except BrokenPipeError:  # whoever read our output has gone; nothing may be written when Python exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    """The command line's options: `no_chunking`, `keep`, `messages`."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="scripts/demo", description=summary, epilog=details)
    parser.add_argument("--no-chunking", action="store_true", help="send with DATA although the server offers BDAT")
    parser.add_argument("--keep", action="store_true", help="keep the Maildir, the certificates and the server's log")
    parser.add_argument("--messages", type=Path, default=MESSAGES, metavar="DIR", help="send the .eml files of DIR")
    return parser.parse_args(arguments)


def open_console() -> Console:
    """Standard output; in a pipe wide enough for the table, for there is no terminal to ask."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=132)


@contextlib.contextmanager
def workshop(console: Console, *, keep: bool) -> Iterator[Path]:
    """A temporary directory, removed at the end unless it is to be kept."""
    directory = Path(tempfile.mkdtemp(prefix="smtpx-demo-"))
    try:
        yield directory
    finally:
        if keep:
            console.print(f"Kept: {directory}", markup=False, soft_wrap=True)
        else:
            shutil.rmtree(directory, ignore_errors=True)


async def demonstrate(options: argparse.Namespace, directory: Path, console: Console) -> int:
    """Serve, send, compare and report."""
    end_politely_when_terminated()
    letters = gather_letters(options.messages, directory / "generated")
    certificates = make_certificates(directory)
    maildir, password = directory / "Maildir", secrets.token_urlsafe(16)
    began = time.monotonic()
    async with running_server(maildir, certificates, password, directory / "server.log") as server:
        console.print(f"smtpx serve is listening on 127.0.0.1:{server.port}, with STARTTLS and AUTH.")
        async with open_client(server.port, password, certificates, chunking=not options.no_chunking) as client:
            deliveries, problems = await send_all(client, letters, console)
    seconds = time.monotonic() - began
    if server.process.returncode != 0:
        problems.append(f"the server did not end well: status {server.process.returncode}\n{server.log_tail()}")
    files, lost = check_maildir(maildir, deliveries)
    show_table(console, deliveries, files)
    show_verdict(console, letters, deliveries, problems + lost, seconds)
    return 1 if problems or lost else 0


def end_politely_when_terminated() -> None:
    """Let SIGTERM and SIGHUP do what Ctrl-C does: stop the server and tidy up."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def gather_letters(messages: Path, generated: Path) -> list[Letter]:
    """The messages of the directory, and the big ones, which are made first."""
    letters = read_letters(messages)
    if not letters:
        raise DemoError(f"there is no .eml file in {messages}")
    write_messages(GENERATED, generated)
    return letters + read_letters(generated)


# A server in a process of its own, as a reader would run it.


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A `smtpx serve` that accepts connections on `port`."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    def log_tail(self) -> str:
        """The last lines that the server wrote to standard error."""
        return tail(self.log)


@contextlib.asynccontextmanager
async def running_server(
    maildir: Path, certificates: Certificates, password: str, log: Path
) -> AsyncIterator[RunningServer]:
    """Start a server, and stop it with SIGTERM at the end."""
    process = await start_server(serve_command(maildir, certificates, password), log)
    try:
        yield RunningServer(process, await announced_port(process, log), log)
    finally:
        await stop_server(process)


def serve_command(maildir: Path, certificates: Certificates, password: str) -> list[str]:
    """The command line of the server, on a port that is free."""
    command = [sys.executable, "-m", "smtpx", "serve", "--port", "0", "--hostname", "localhost"]
    command += ["--maildir", str(maildir)]
    command += ["--tls-cert", str(certificates.server), "--tls-key", str(certificates.server_key)]
    command += ["--auth-user", f"demo:{password}", "--require-auth"]
    return command


async def start_server(command: list[str], log: Path) -> asyncio.subprocess.Process:
    """Run it in a session of its own, so that Ctrl-C reaches us alone and we can stop it in order."""
    with log.open("wb") as errors:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )


async def announced_port(process: asyncio.subprocess.Process, log: Path) -> int:
    """The port that the server says it listens on.

    Raises DemoError, with what the server wrote to standard error, if it does not say so in time.
    """
    line = b""
    if process.stdout is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                line = await process.stdout.readline()
                if not line:
                    await process.wait()  # nothing more can come: its end tells why
    announced = re.fullmatch(rb"listening on smtp://127\.0\.0\.1:(\d+)\s*", line)
    if announced is None:
        said = line.decode(errors="replace").strip() or "nothing"
        raise DemoError(f"the server said {said} instead of where it listens; its standard error:\n{tail(log)}")
    return int(announced[1])


async def stop_server(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and SIGKILL when that takes too long or we are interrupted meanwhile."""
    if process.returncode is None:
        process.terminate()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a text file, or a remark that it is empty."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) or "(empty)"


# A client that trusts our authority and nobody else.


def open_client(port: int, password: str, certificates: Certificates, *, chunking: bool) -> smtpx.AsyncClient:
    """A client for the server on that port: STARTTLS required and verified, then AUTH."""
    url = f"submission://demo:{password}@localhost:{port}"
    context = ssl.create_default_context(cafile=certificates.authority)
    return smtpx.AsyncClient(url, ssl_context=context, timeout=SEND_SECONDS, chunking=chunking)


async def send_all(
    client: smtpx.AsyncClient, letters: list[Letter], console: Console
) -> tuple[list[Delivery], list[str]]:
    """Send one letter after the other; a failure is noted and does not stop the rest."""
    deliveries: list[Delivery] = []
    problems: list[str] = []
    with progress(console, letters) as advance:
        for letter in letters:
            try:
                result = await client.send(letter.content, sender=letter.sender, recipients=list(letter.recipients))
            except (smtpx.SMTPXError, ValueError) as error:
                problems.append(f"{letter.name}: not sent: {type(error).__name__}: {error}")
            else:
                deliveries.append(Delivery(letter, result))
                problems.extend(explain_result(letter, result))
            advance(letter)
    return deliveries, problems


def explain_result(letter: Letter, result: smtpx.SendResult) -> list[str]:
    """What is not as it should be with a letter that the server has taken."""
    problems = [f"{letter.name}: {address} was refused: {error}" for address, error in result.refused.items()]
    if not result.tls:
        problems.append(f"{letter.name}: was sent without TLS")
    return problems


@contextlib.contextmanager
def progress(console: Console, letters: list[Letter]) -> Iterator[Callable[[Letter], None]]:
    """A function to call after each letter: moves a bar, or prints a line where there is no terminal."""
    if not console.is_terminal:
        numbers = iter(range(1, len(letters) + 1))
        yield lambda letter: print(f"{next(numbers):3d}/{len(letters)} {letter.name}")
        return
    columns = BarColumn(bar_width=24), DownloadColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=sum(len(letter.content) for letter in letters))
        yield lambda letter: bar.update(task, advance=len(letter.content), description=letter.name)


# What came of it.


def check_maildir(maildir: Path, deliveries: list[Delivery]) -> tuple[dict[Letter, Path], list[str]]:
    """The file of each letter that arrived intact, and what is wrong with the others."""
    try:
        return compare([delivery.letter for delivery in deliveries], read_maildir(maildir))
    except (OSError, ValueError) as error:
        return {}, [f"the Maildir cannot be read: {error}"]


def show_table(console: Console, deliveries: list[Delivery], files: dict[Letter, Path]) -> None:
    """One row for each letter that was sent."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("message", no_wrap=True)
    table.add_column("octets", justify="right", no_wrap=True)
    table.add_column("to", justify="right", no_wrap=True)
    table.add_column("by", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("file in new/", overflow="ellipsis")  # the only one that may be cut
    for delivery in deliveries:
        letter, result = delivery.letter, delivery.result
        file = files.get(letter)
        table.add_row(
            Text(letter.name),
            f"{len(letter.content):,}",
            str(len(result.accepted)),
            "BDAT" if result.used_chunking else "DATA",
            f"{result.duration_seconds * 1000:.1f}",
            Text("not intact", style="bold red") if file is None else Text(file.name),
        )
    console.print(table)
    console.print()


def show_verdict(
    console: Console, letters: list[Letter], deliveries: list[Delivery], problems: list[str], seconds: float
) -> None:
    """What is wrong, if anything; or else the sum of it all, and what to do next."""
    if problems:
        console.print(f"Problems: {len(problems)}", style="bold red")
        for problem in problems:
            console.print(f"  {problem}", markup=False, soft_wrap=True)
        return
    octets = sum(len(letter.content) for letter in letters)
    copies = sum(len(delivery.result.accepted) for delivery in deliveries)
    chunked = sum(delivery.result.used_chunking for delivery in deliveries)
    console.print(
        f"All {len(letters)} messages arrived octet by octet: {octets / 1e6:.1f} MB for {copies} recipients in "
        f"{seconds:.1f} s, over verified TLS, {chunked} by BDAT and {len(letters) - chunked} by DATA.",
        style="bold green",
        soft_wrap=True,
    )
    console.print("\nWhat to type next:")
    for purpose, command in next_commands():
        console.print(f"  {purpose}\n    {command}", markup=False, soft_wrap=True)


def next_commands() -> list[tuple[str, str]]:
    """What a reader may want to try: for each purpose a command that works from here."""
    program = smtpx_program()
    message = shown_path(MESSAGES / "arabic.eml")
    addresses = "--from ada@example.org --to bela@example.net"
    return [
        ("Run the server yourself; mail goes to ./Maildir:", f"{program} serve --tls-self-signed"),
        (
            "Then, in another terminal, send it a message:",
            f"{program} send --url smtp://127.0.0.1:2525 {addresses} --eml {message}",
        ),
        ("Run the tests:", shown_path(MESSAGES.parents[1] / "scripts" / "test")),
    ]


def smtpx_program() -> str:
    """How to call the smtpx that belongs to this Python."""
    program = Path(sys.executable).parent / "smtpx"
    return shown_path(program) if program.exists() else f"{shown_path(Path(sys.executable))} -m smtpx"


def shown_path(path: Path) -> str:
    """The path as it is shortest to type: relative, when it is below the current directory."""
    return os.fspath(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


if __name__ == "__main__":
    sys.exit(main())
