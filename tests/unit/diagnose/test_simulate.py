import math

from why504.diagnose.whatif.simulate import (
    Answer,
    Await,
    Block,
    Give,
    Job,
    Stop,
    Take,
    Work,
    answered_ns,
)

LEAF = ("ext", "llm", "")


def work(length_ns: float) -> Work:
    return Work(length_ns, LEAF, "call")


def using(start_ns: int, length_ns: float) -> Job:
    return Job(start_ns, (Take("pool"), work(length_ns), Give("pool"), Answer()))


def answers(jobs, capacity=None, until_ns=1000.0):
    return answered_ns(jobs, capacity or {}, until_ns)


def test_who_came_first_is_served_first():
    jobs = [using(0, 10), using(2, 10), using(1, 10)]

    assert answers(jobs, {"pool": 1}) == [10, 30, 20]
    assert answers(jobs, {"pool": 2}) == [10, 20, 11]
    assert answers(jobs, {"pool": 3}) == [10, 12, 11]


def test_what_never_ends_keeps_its_place_for_ever():
    assert answers([using(0, math.inf), using(1, 5)], {"pool": 1}) == [math.inf, math.inf]


def test_nothing_is_looked_at_after_the_last_moment_that_matters():
    assert answers([using(0, 10), using(0, 50)], {"pool": 2}, until_ns=20) == [10, math.inf]


def test_a_blocked_loop_lets_nobody_go_on_whose_loop_it_is():
    block = Job(0, (Block(10, LEAF, "call", "loop"), Answer()), ("loop",))
    there = Job(1, (work(2), Answer()), ("loop",))
    elsewhere = Job(1, (work(2), Answer()), ("another",))

    # Who comes meanwhile is taken up when the loop turns again, and works from then on.
    assert answers([block, there, elsewhere]) == [10, 12, 3]


def test_two_that_block_the_same_loop_do_so_one_after_the_other():
    jobs = [Job(n, (Block(10, LEAF, "call", "loop"), Answer()), ("loop",)) for n in range(3)]

    assert answers(jobs) == [10, 20, 30]


def test_what_is_waited_for_to_be_over_is_nobodys_afterwards():
    lock = Job(0, (Take("lock"), work(10), Give("lock")))
    waiters = [Job(n, (Await("lock"), work(5), Answer())) for n in (1, 2, 11)]

    assert answers([lock, *waiters])[1:] == [15, 15, 16]


def test_a_job_that_is_over_gives_back_what_it_has():
    forgetful = Job(0, (Take("pool"), work(4), Answer()))

    assert answers([forgetful, using(1, 2)], {"pool": 1}) == [4, 6]


def test_patience_that_runs_out_goes_on_behind_the_stop_and_leaves_the_queue():
    impatient = Job(1, (Take("pool", 3), work(9), Answer(), Stop(), work(1), Answer()))
    jobs = [using(0, 10), impatient, using(2, 1)]

    assert answers(jobs, {"pool": 1}) == [10, 5, 11]
    assert answers(jobs, {"pool": 2}) == [10, 10, 11]


def test_whoever_takes_twice_waits_for_himself_if_there_is_nothing_left():
    nested = [Job(n, (Take("pool"), work(5), Take("pool"), work(1), Answer())) for n in range(2)]

    assert answers(nested, {"pool": 2}) == [math.inf, math.inf]
    assert answers(nested, {"pool": 3}) == [6, 7]


def test_only_the_first_answer_counts():
    assert answers([Job(0, (work(3), Answer(), work(5), Answer()))]) == [3]
