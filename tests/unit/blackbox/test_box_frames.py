"""What a torn, cut or overwritten black box still tells."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from why504.probe.blackbox.frames import MARK, METRICS, SPANS, Frame, frames, pack

BODIES = [b"", b"first", MARK * 3, bytes(range(256)) * 20, b"last"]
FILE = b"".join(pack(SPANS, body) for body in BODIES)
ENDS = [len(b"".join(pack(SPANS, body) for body in BODIES[: n + 1])) for n in range(len(BODIES))]


def read(data: bytes) -> list[bytes]:
    return [frame.body for frame in frames(data)]


def test_frames_come_back_as_they_went_in():
    assert list(frames(pack(METRICS, b"up 1") + FILE)) == [
        Frame(METRICS, b"up 1"),
        *(Frame(SPANS, body) for body in BODIES),
    ]


def test_cut_at_any_byte_only_the_frame_that_is_cut_is_lost():
    for cut in range(len(FILE) + 1):
        whole = sum(end <= cut for end in ENDS)
        assert read(FILE[:cut]) == BODIES[:whole]


def test_any_byte_that_flips_costs_its_own_frame_at_most():
    for at in range(len(FILE)):
        flipped = FILE[:at] + bytes([FILE[at] ^ 0x41]) + FILE[at + 1 :]
        hit = sum(end <= at for end in ENDS)
        assert read(flipped) == BODIES[:hit] + BODIES[hit + 1 :]


@settings(max_examples=300)
@given(st.binary(max_size=80), st.integers(0, len(FILE)), st.integers(0, 40))
def test_garbage_costs_the_frames_that_it_overwrites(garbage, at, length):
    spoilt = FILE[:at] + garbage + FILE[at + length :]
    begins = [0, *ENDS[:-1]]
    places = zip(BODIES, begins, ENDS, strict=True)
    untouched = [body for body, begin, end in places if end <= at or begin >= at + length]

    found = read(spoilt)

    remaining = iter(found)
    assert all(body in remaining for body in untouched), "in their order"
    assert set(found) <= set(BODIES)


@given(st.binary(max_size=300))
def test_what_is_no_black_box_has_no_frame(data):
    assert read(data) == []
    assert read(MARK + data) == []
