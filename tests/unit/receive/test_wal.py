import os
import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from why504.receive.wal import Wal, bodies


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.wal"


def test_bodies_come_back_in_order(path):
    wal = Wal(path)
    wal.append([b"one", b""])
    wal.append([b"two" * 100_000])
    wal.close()

    assert list(bodies(path)) == [b"one", b"", b"two" * 100_000]


@settings(max_examples=60)
@given(cut=st.integers(0, 40), damage=st.integers(0, 39) | st.none())
def test_a_torn_or_damaged_tail_costs_nothing_before_it(tmp_path_factory, cut, damage):
    path = tmp_path_factory.mktemp("wal") / "a.wal"
    wal = Wal(path)
    wal.append([b"a" * 12, b"b" * 12])  # two frames of 20 bytes
    wal.close()
    whole = bytearray(path.read_bytes())
    if damage is not None:
        whole[damage] ^= 0x55
    path.write_bytes(whole[:cut])

    intact = min(cut, 40 if damage is None else damage) // 20
    assert list(bodies(path)) == [b"a" * 12, b"b" * 12][:intact]


def test_a_length_of_gigabytes_is_not_believed(path):
    path.write_bytes(b"\xff\xff\xff\xff\0\0\0\0" + b"x" * 100)

    assert list(bodies(path)) == []


def test_a_file_of_that_name_is_never_overwritten(path):
    path.write_bytes(b"precious")

    with pytest.raises(FileExistsError):
        Wal(path)
    assert path.read_bytes() == b"precious"


def test_a_write_that_fails_leaves_what_was_durable_and_nothing_else(path):
    wal = Wal(path)
    wal.append([b"durable"])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError):
            wal.append([b"x" * 500, b"y" * 5000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    assert wal.broken
    assert list(bodies(path)) == [b"durable"]
    wal.close()


def test_a_full_device_breaks_the_file(path):
    wal = Wal(path)
    os.dup2(os.open("/dev/full", os.O_WRONLY), wal._file)

    with pytest.raises(OSError, match="No space left"):
        wal.append([b"x"])
    assert wal.broken
    wal.close()
