"""Answers as RabbitMQ 3.10.8 gave them."""

import pytest

from why504.watch.alarms import Blocked, Trouble, alarms, blocked, deepest_queues

ALARMED = (
    b'{"alarms":[{"node":"rabbit@a","resource":"memory"},{"node":"rabbit@b","resource":"disk"}],'
    b'"reason":"There are alarms in effect in the cluster","status":"failed"}'
)
CONNECTIONS = (
    b'{"total_count":4,"item_count":4,"filtered_count":4,"page":1,"page_size":500,"page_count":1,'
    b'"items":[{"state":"blocked"},{"state":"blocking"},{"state":"running"},{"state":"blocked"}]}'
)
QUEUES = (
    b'{"filtered_count":3,"item_count":3,"items":[{"consumers":0,"messages_ready":1200,'
    b'"messages_unacknowledged":3,"name":"orders","vhost":"/"},{"consumers":1,"messages_ready":0,'
    b'"messages_unacknowledged":7,"name":"mail","vhost":"prod"},{"consumers":2,"messages_ready":0,'
    b'"messages_unacknowledged":0,"name":"idle","vhost":"/"},{"name":"made just now","vhost":"/"}],'
    b'"page":1,"page_count":1,"page_size":3,"total_count":3}'
)


def test_without_alarms_there_is_no_trouble():
    assert alarms(200, b'{"status":"ok"}') == frozenset()


def test_each_alarm_is_told_with_its_node():
    assert alarms(503, ALARMED) == {Trouble("rabbit@a", "memory"), Trouble("rabbit@b", "disk")}


def test_a_trouble_reads_like_a_sentence():
    assert str(Trouble("rabbit@a", "memory")) == "memory alarm of node rabbit@a"
    assert str(Trouble("mq:15672", "silence")) == "no answer from mq:15672"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b"<html>no backend</html>"),
        (503, b'{"status":"failed","reason":"other"}'),
        (503, b'{"alarms":[]}'),
        (503, b'{"alarms":["memory"]}'),
        (503, b'{"alarms":[{"node":"rabbit@a"}]}'),
        (503, b'{"alarms":[{"node":7,"resource":"memory"}]}'),
        (200, b"[]"),
        (200, b"{}"),
        (200, b"\xff"),
        (200, b"[" * 100_000),
    ],
)
def test_what_is_no_answer_of_the_health_check_says_nothing_of_alarms(status, body):
    with pytest.raises(ValueError):
        alarms(status, body)


def test_a_long_or_broken_name_can_be_sent():
    body = b'{"alarms":[{"node":"%s","resource":"memory"}]}' % (b"\\ud800" + b"n" * 1000)

    [trouble] = alarms(503, body)

    assert trouble.node == "?" + "n" * 199


def test_connections_are_counted_by_what_alarms_do_to_them():
    assert blocked(CONNECTIONS) == Blocked(blocked=2, blocking=1)


def test_queues_with_messages_are_told_deepest_first():
    assert deepest_queues(QUEUES) == [
        "orders of /: 1200 ready, 3 unacknowledged, 0 consumers",
        "mail of prod: 0 ready, 7 unacknowledged, 1 consumer",
    ]


def test_ten_queues_are_told_at_most():
    row = b'{"name":"q","vhost":"/","messages_ready":1,"messages_unacknowledged":0,"consumers":0}'

    assert len(deepest_queues(b'{"items":[%s]}' % b",".join([row] * 50))) == 10


@pytest.mark.parametrize(
    "body", [b"{}", b"null", b'{"items":{}}', b'{"items":[{"name":"q","messages_ready":"many"}]}']
)
def test_what_is_no_page_of_queues_is_refused(body):
    with pytest.raises(ValueError):
        deepest_queues(body)
