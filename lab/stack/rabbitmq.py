"""A real RabbitMQ of our own: Debian's package, run without its wrappers, as root or not.

The wrappers in /usr/sbin change to the user `rabbitmq` and to its home. The server below
/usr/lib/rabbitmq takes every path from the environment instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

import pika
from pika.exceptions import ChannelClosedByBroker

from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start, wait_until
from lab.stack.ready import listens
from why504.errors import LabError

HOW_TO_GET_IT = "no RabbitMQ: apt-get install rabbitmq-server, or set WHY504_RABBITMQ_BIN"
START_S = 100.0
CTL_S = 30.0
CONFIGURATION = """\
loopback_users = none
# Machines of CI have little disk, and a node below its limit blocks all publishers.
disk_free_limit.absolute = 50MB
consumer_timeout = 86400000
log.console = true
log.console.level = warning
log.file = false
"""
MANAGEMENT = "management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}\n"


def find_binaries() -> Path | None:
    """Return the folder with `rabbitmq-server` and `rabbitmqctl`, or None."""
    if not all(map(shutil.which, ("erl", "epmd"))):
        return None
    for folder in (os.environ.get("WHY504_RABBITMQ_BIN"), "/usr/lib/rabbitmq/bin"):
        if folder and (Path(folder) / "rabbitmq-server").is_file():
            return Path(folder)
    return None


class RabbitMQ:
    """A running broker on 127.0.0.1; user and password `guest`, one node, AMQP unless asked."""

    def __init__(
        self, program: Program, *, port: int, epmd: Process, management_port: int | None = None
    ) -> None:
        self.port = port
        self.url = f"amqp://guest:guest@127.0.0.1:{port}/%2F"
        self.management_port = management_port
        """Where `start` was asked to serve the management API; None if it was not."""
        self._program = program
        self._epmd = epmd
        self.process = start(program)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @classmethod
    def start(cls, folder: Path, *, management: bool = False) -> Self:
        """Make a new node whose files are all below `folder`, and start it; takes 5 to 20 s.

        With `management` its HTTP API is served too.

        Raises:
            LabError: there is no RabbitMQ, or it did not start.
        """
        broker = cls.begin(folder, management=management)
        try:
            broker.wait_until_ready()
        except LabError:
            broker.stop()
            raise
        return broker

    @classmethod
    def begin(cls, folder: Path, *, management: bool = False) -> Self:
        """Do the same without waiting: the broker takes no connections before it is ready.

        Raises:
            LabError: there is no RabbitMQ.
        """
        binaries = find_binaries()
        if binaries is None:
            raise LabError(HOW_TO_GET_IT)
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        port, management_port = free_port(), free_port() if management else None
        serves = "" if management_port is None else MANAGEMENT.format(port=management_port)
        (folder / "rabbitmq.conf").write_text(CONFIGURATION + serves, encoding="ascii")
        plugins = "rabbitmq_management" if management else ""
        (folder / "plugins").write_text(f"[{plugins}].\n", encoding="ascii")
        env = _environment(folder, port)
        # The server would start a daemon of its own, which outlives it; this one is leashed.
        epmd = start(Program(["epmd"], "epmd", folder, env))
        program = Program([str(binaries / "rabbitmq-server")], "rabbitmq", folder, env)
        return cls(program, port=port, epmd=epmd, management_port=management_port)

    def wait_until_ready(self) -> None:
        """Return once it takes connections.

        Raises:
            LabError: it did not start; the message ends with the tail of its log.
        """
        wait_until(listens(self.port), self.process, START_S)

    def freeze(self) -> None:
        """Stop the broker where it is: the kernel takes what clients send, and nobody answers."""
        self.process.freeze()

    def thaw(self) -> None:
        """Let it go on."""
        self.process.thaw()

    def kill(self) -> None:
        """End it at once, as a crash would; its data stay."""
        self.process.kill()

    def restart(self) -> None:
        """Start it again with the same data on the same port."""
        self.process.stop(grace_s=0)
        self.process = start(self._program)
        self.wait_until_ready()

    def alarm(self, on: bool) -> None:
        """Raise or lift the memory alarm: while it is up, no publisher is read from."""
        self._ctl("set_vm_memory_high_watermark", "0" if on else "0.4")

    def depth(self, queue: str) -> int | None:
        """Return how many messages of a queue wait to be delivered, None if there is no queue."""
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            try:
                declared = connection.channel().queue_declare(queue, passive=True)
            except ChannelClosedByBroker:
                return None
            return int(declared.method.message_count)

    def stop(self) -> None:
        """End the broker and its name server; data stay in the folder."""
        # Asked nicely it takes seconds, and its data outlive a kill anyway.
        self.process.stop(grace_s=0)
        self._epmd.stop(grace_s=1)

    def _ctl(self, *command: str) -> None:
        """Run rabbitmqctl.

        Raises:
            LabError: it failed, or did not end in time.
        """
        argv = [str(Path(self._program.argv[0]).with_name("rabbitmqctl")), *command]
        env = {**os.environ, **self._program.env}
        try:
            done = subprocess.run(
                argv, env=env, capture_output=True, text=True, timeout=CTL_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"rabbitmqctl {command[0]} did not end in {CTL_S:g} s") from None
        if done.returncode != 0:
            raise LabError(f"rabbitmqctl {command[0]} failed:\n{done.stdout}{done.stderr}")


def _environment(folder: Path, port: int) -> dict[str, str]:
    private = {
        "NODENAME": f"lab{port}@localhost",
        "NODE_IP_ADDRESS": "127.0.0.1",
        "NODE_PORT": str(port),
        "DIST_PORT": str(free_port()),
        "MNESIA_BASE": str(folder / "data"),
        "LOG_BASE": str(folder),
        "ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "CONF_ENV_FILE": str(folder / "none"),
        "PID_FILE": str(folder / "rabbitmq.pid"),
        # Idle schedulers spin by default, on cores that other servers of the lab need.
        "SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
    }
    return {f"RABBITMQ_{name}": value for name, value in private.items()} | {
        "HOME": str(folder),  # where the cookie is
        "ERL_EPMD_PORT": str(free_port()),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
