"""What is read of `/proc`, of made-up processes and of this one."""

import contextlib
import json
import os
import select
import socket
import struct
import threading
import time

import pytest

from why504.errors import AttachError
from why504.watch.hung.calls import call_of
from why504.watch.hung.proc import Proc
from why504.watch.hung.pyspy import parsed
from why504.watch.hung.sockets import info_in, sockets_of, unix_listeners

STAT = "7 (a) R (b) S 3 " + " ".join(str(n) for n in range(5, 53))
"""The program calls itself `a) R (b`; field n of proc(5) has the value n from the fifth on."""
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 11 1 0 1
   1: 0100007F:1F90 0200000A:C350 01 00000000:00000010 00:00000000 00000000     0        0 12 1 0 1
   2: 0100007F:9C40 0300000A:1538 01 00001000:00000000 01:00000014 00000004     0        0 13 2 0 1
   3: 0100007F:9C41 0300000A:1538 02 00000001:00000000 01:00000014 00000004     0        0 99 2 0 1
   garbage
"""


@pytest.fixture
def process(tmp_path):
    (tmp_path / "7" / "net").mkdir(parents=True)
    (tmp_path / "uptime").write_text("1000.0 2000.0\n")

    def process(**files: str) -> Proc:
        for name, text in files.items():
            (tmp_path / "7" / name.replace("_", "/")).write_text(text)
        return Proc(7, tmp_path)

    return process


def test_a_program_whose_name_has_brackets_does_not_shift_the_numbers(process):
    stat = process(stat=STAT).stat()

    assert (stat.state, stat.parent, stat.major_faults) == ("S", 3, 12)
    assert stat.cpu_s == (14 + 15) / os.sysconf("SC_CLK_TCK")


def test_no_folder_is_no_process(process):
    with pytest.raises(AttachError, match="there is no process 7 here"):
        process().stat()


def test_whatever_can_not_be_read_is_empty_and_no_error(process):
    proc = process()

    assert proc.fds() == {}
    assert proc.tasks() == []
    assert proc.children() == []
    assert proc.fd_limit() is None
    assert proc.thread_times(7) == (0.0, 0.0)
    assert proc.memory_bytes() == 0
    assert sockets_of(proc, {}) == ([], [], True)


def test_a_command_line_is_bounded(process):
    assert len(process(cmdline="python\0" + "x" * 10_000).command()) == 300


def test_connections_are_those_of_the_process_with_their_queues(process):
    fds = {0: "/dev/null", 3: "socket:[11]", 4: "socket:[12]", 5: "socket:[13]"}

    sockets, (listener,), clocks = sockets_of(process(net_tcp=TCP), fds)

    assert (listener.address, listener.port, listener.waiting) == ("127.0.0.1", 8080, 3)
    incoming, outgoing = sockets
    assert (incoming.incoming, incoming.unread, incoming.fd) == (True, 16, 4)
    assert (outgoing.incoming, outgoing.unsent) == (False, 4096)
    assert (outgoing.remote, outgoing.remote_port) == ("10.0.0.3", 5432)
    assert not clocks


def test_an_address_of_the_old_kind_inside_the_new_one_reads_as_the_old_one(process):
    row = TCP.splitlines()[1].replace("0100007F", "0000000000000000FFFF00000100007F")
    table = "head\n" + row.replace(" 00000000:0000", " " + "0" * 32 + ":0000", 1)

    _, (listener,), _ = sockets_of(process(net_tcp6=table), {3: "socket:[11]"})

    assert listener.address == "127.0.0.1"


def test_a_kernel_too_old_to_count_bytes_tells_nothing():
    assert info_in(b"\0" * 104) is None
    assert info_in(struct.pack("=24xII12xI4xI64xQQ", 1, 2, 3000, 4000, 5, 6)) == (
        1, 2, 3.0, 4.0, 5, 6,
    )  # fmt: skip


def test_a_frozen_peer_shows_by_what_it_does_not_take_and_an_idle_client_by_its_clock():
    proc = Proc(os.getpid())
    with socket.create_server(("127.0.0.1", 0), backlog=5) as server:
        port = server.getsockname()[1]
        with (
            socket.create_connection(("127.0.0.1", port)) as ours,
            server.accept()[0] as theirs,
            socket.create_connection(("127.0.0.1", port)),
        ):
            theirs.sendall(b"hello")
            ours.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    ours.send(b"x" * 65536)
            time.sleep(0.3)

            sockets, listeners, clocks = sockets_of(proc, proc.fds())
            told = {one.fd: one for one in sockets}[ours.fileno()]

            assert clocks
            assert told.unsent > 0
            assert told.unread == 5
            assert told.received_bytes == 5
            assert 0.2 < told.received_ago_s < 30
            (listener,) = (one for one in listeners if one.port == port)
            assert (listener.waiting, listener.room) == (1, 5)
            # The copies that were read are closed, and the connection is as it was.
            assert ours.recv(9) == b"hello"
            assert ours.getblocking() is False


def test_unix_sockets_that_take_connections_are_known_by_their_path(tmp_path):
    proc, path = Proc(os.getpid()), str(tmp_path / "app.sock")
    with socket.socket(socket.AF_UNIX) as bound, socket.socket(socket.AF_UNIX) as client:
        bound.bind(path)
        assert path not in unix_listeners(proc, proc.fds())
        bound.listen()
        client.connect(path)

        assert path in unix_listeners(proc, proc.fds())
        assert unix_listeners(proc, {3: "socket:[1]"}) == []


def test_a_thread_in_a_call_is_joined_to_its_descriptor():
    reading, writing = os.pipe()
    waiting = threading.Thread(target=os.read, args=(reading, 1))
    waiting.start()
    try:
        time.sleep(0.2)
        proc = Proc(os.getpid())

        assert call_of(proc, waiting.native_id) == ("read", (reading,))
    finally:
        os.write(writing, b"x")
        waiting.join()
        os.close(reading)
        os.close(writing)


def test_a_thread_that_polls_is_joined_to_all_that_it_polls():
    pipes = [os.pipe() for _ in range(2)]
    poll = select.poll()
    for reading, _ in pipes:
        poll.register(reading, select.POLLIN)
    waiting = threading.Thread(target=poll.poll)
    waiting.start()
    try:
        time.sleep(0.2)
        name, fds = call_of(Proc(os.getpid()), waiting.native_id)

        assert name in ("poll", "ppoll")
        assert sorted(fds) == sorted(reading for reading, _ in pipes)
    finally:
        os.write(pipes[0][1], b"x")
        waiting.join()
        for pipe in pipes:
            os.close(pipe[0])
            os.close(pipe[1])


def test_a_thread_that_runs_or_is_gone_is_in_no_call():
    proc = Proc(os.getpid())

    assert call_of(proc, 2**22 + 1) == ("", ())


@pytest.mark.parametrize(
    "told",
    [b"", b"not json", b"{}x", b"[1]", b'[{"os_thread_id": 1}]', b'[{"os_thread_id": "x"}]',
     b'[{"os_thread_id": 1, "thread_name": "x", "owns_gil": false, "frames": [{}]}]'],
)  # fmt: skip
def test_garbage_out_of_py_spy_is_a_clear_error(told):
    with pytest.raises(AttachError, match="something else than stacks"):
        parsed(told)


def test_a_thread_without_a_name_or_a_known_id_is_told_by_its_address():
    rows = [
        {"pid": 7, "os_thread_id": None, "thread_name": name, "thread_id": 140429739161280,
         "owns_gil": False, "frames": []}
        for name in (None, "MainThread")
    ]  # fmt: skip

    told = parsed(json.dumps(rows).encode())

    assert {tid: one.name for tid, one in told.items()} == {140429739161280: "", 7: "MainThread"}
