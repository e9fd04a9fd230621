"""The command itself: several workers, processes that it can't look at, hostile names."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hung_processes import connected, line_of
from typer.testing import CliRunner

from why504.cli import app

ESCAPE = "\x1b[31m"


@pytest.fixture
def attach():
    return lambda *arguments: CliRunner().invoke(app, ["attach", *map(str, arguments)])


def test_a_person_reads_the_guess_where_it_is_and_what_to_do(start, attach):
    program = start("deadlock.py")
    assert program.stdout.readline() == "inside\n"

    result = attach(program.pid)

    assert result.exit_code == 0
    text = " ".join(result.output.replace("│", " ").split())
    assert "UNKNOWN Threads that wait for each other's locks" in text
    assert "Only a restart ends a deadlock" in text
    assert "why504.instrument(app)" in text
    assert "asyncio" not in text


def test_a_machine_reads_the_same(start, attach):
    program = start("deadlock.py")
    assert program.stdout.readline() == "inside\n"

    (look,) = json.loads(attach(program.pid, "--json").output)

    assert look["guess"]["cause"] == "UNKNOWN"
    assert look["process"]["pid"] == program.pid
    does = {thread["name"]: thread["does"] for thread in look["threads"]}
    assert does == {"MainThread": "rests", "pays": "lock", "refunds": "lock"}
    (pays,) = (thread for thread in look["threads"] if thread["name"] == "pays")
    assert pays["site"] == line_of("deadlock.py", "pays")
    assert pays["stack"][0] == f"{line_of('deadlock.py', 'pays')} pays"


def test_the_parent_of_workers_says_so_and_its_children_are_looked_at(start, attach, ending):
    port = free_port()
    parent = start("-m", "uvicorn", "crowd:app", "--port", str(port), "--workers", "2")
    client = ending.enter_context(connected(port))
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    hung = int(parent.stdout.readline().split()[1])

    alone = json.loads(attach(parent.pid, "--json").output)
    looks = json.loads(attach(parent.pid, "--children", "--json").output)

    assert "why504 attach" in attach(parent.pid).output
    assert len(alone[0]["process"]["children"]) == 2
    guesses = {look["process"]["pid"]: look["guess"] for look in looks}
    assert len(guesses) == 3
    assert guesses[hung]["cause"] == "B1"
    assert guesses[hung]["site"].startswith("crowd.py:")
    assert [one["cause"] for pid, one in guesses.items() if pid != hung].count("B1") == 0


def test_from_outside_of_a_container_threads_and_connections_are_those_inside(ending, attach):
    if os.geteuid() != 0:
        pytest.skip("only root can make namespaces here")
    inside = (
        "import socket, time\nport = socket.create_server(('127.0.0.1', 7504))\ntime.sleep(600)"
    )
    container = subprocess.Popen(
        ["unshare", "-n", "-p", "-m", "-f", "--mount-proc", "--kill-child", sys.executable, "-c",
         inside]
    )  # fmt: skip
    ending.callback(container.wait)
    ending.callback(container.kill)
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
    while not (pids := children.read_text().split()):
        time.sleep(0.05)
    time.sleep(1)

    (look,) = json.loads(attach(pids[0], "--json").output)

    (main,) = look["threads"]
    assert main["tid"] == look["process"]["pid"] == int(pids[0])
    assert main["does"] == "sleeps"
    assert [one["port"] for one in look["listeners"]] == [7504]
    assert look["listeners"][0]["room"] is not None


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["sleep", "60"], "is no Python process (sleep 60)"),
        (["sh", "-c", "sleep 60; true"], "`ps axf` shows what runs below it"),
    ],
)
def test_what_is_no_python_is_called_by_its_name(attach, ending, command, says):
    other = subprocess.Popen(command)
    ending.callback(other.wait)
    ending.callback(other.kill)
    time.sleep(0.2)

    result = attach(other.pid)

    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


def test_behind_a_shell_the_python_below_it_is_named(attach, ending):
    shell = subprocess.Popen(
        ["sh", "-c", f"{sys.executable} -c 'import time; time.sleep(60)'; true"]
    )
    ending.callback(shell.wait)
    ending.callback(shell.kill)
    children = Path(f"/proc/{shell.pid}/task/{shell.pid}/children")
    time.sleep(1)
    (below,) = children.read_text().split()
    ending.callback(os.kill, int(below), signal.SIGKILL)

    assert f"Python runs below it: {below}" in " ".join(attach(shell.pid).output.split())


def test_a_process_that_is_not_there_says_how_to_find_it(attach):
    result = attach(2**22 + 1)

    assert result.exit_code == 2
    assert "there is no process" in result.output
    assert "Traceback" not in result.output


def test_a_zombie_has_ended(attach):
    child = subprocess.Popen([sys.executable, "-c", ""])
    stat = Path(f"/proc/{child.pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.05)

    result = attach(child.pid)
    child.wait()

    assert result.exit_code == 2
    assert "has ended" in result.output


def test_a_process_that_ends_while_it_is_looked_at_is_a_clear_error(start, attach):
    program = start("deadlock.py")
    assert program.stdout.readline() == "inside\n"
    timer = threading.Timer(0.8, lambda: (program.kill(), program.wait()))
    timer.start()

    result = attach(program.pid)
    timer.join()

    assert result.exit_code == 2
    assert f"process {program.pid} ended while it was looked at" in result.output
    assert "Traceback" not in result.output


def test_names_and_paths_of_the_other_process_can_not_drive_the_terminal(start, attach, tmp_path):
    script = tmp_path / f"evil{ESCAPE}\u202e[bold].py"
    script.write_text(
        "import threading, time\n"
        "def sleeps(): time.sleep(600)\n"
        f"thread = threading.Thread(target=sleeps, name={ESCAPE + '[link=x]'!r})\n"
        "thread.start()\n"
        "print('inside', flush=True)\n"
        "thread.join()\n"
    )
    program = start(str(script), cwd=tmp_path)
    assert program.stdout.readline() == "inside\n"

    text, document = attach(program.pid).output, attach(program.pid, "--json").output

    assert "\x1b" not in text + document
    assert "\u202e" not in text + document
    assert "evil[31m[bold].py" in "".join(text.replace("│", "").split())
    assert "[31m[link=x]" in text


def test_who_may_not_read_a_process_is_told_what_to_do(start):
    if os.geteuid() != 0:
        pytest.skip("only root has the capability that is taken away here")
    program = start("deadlock.py")
    assert program.stdout.readline() == "inside\n"

    # As root in a container that was started without SYS_PTRACE.
    drop = "ctypes.CDLL(None).prctl(24, 19, 0, 0, 0)"
    command = [sys.executable, "-m", "why504.cli", "attach", str(program.pid)]
    done = subprocess.run(
        [sys.executable, "-c", f"import ctypes, os; {drop}; os.execv({command[0]!r}, {command})"],
        capture_output=True,
        text=True,
        check=False,
    )

    said = " ".join(done.stderr.split())
    assert done.returncode == 2
    assert "may not be read by this user" in said
    assert "--cap-add SYS_PTRACE" in said
    assert "Traceback" not in said


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
