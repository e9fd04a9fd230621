import sys

from bench.probe.bytecodes import Counting


def once() -> int:
    return 1


def often(times: int) -> int:
    return sum([once() for _ in range(times)])


def test_calls_are_counted_and_bytecodes_grow_with_what_is_done():
    few, many = Counting(), Counting()
    for counting, times in ((few, 1), (many, 10)):
        sys.settrace(counting)
        often(times)
        sys.settrace(None)

    assert (few.calls[once.__code__], many.calls[once.__code__]) == (1, 10)
    assert many.bytecodes[once.__code__] == 10 * few.bytecodes[once.__code__] > 0
    assert sum(many.bytecodes.values()) > sum(few.bytecodes.values())
