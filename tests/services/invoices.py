"""A worker that books invoices: pika, acknowledged late, four threads that work.

`python invoices.py`; BROKER_URL is a RabbitMQ, BOOKING_URL takes invoices.
"""

import functools
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pika
import requests
from pika.adapters.blocking_connection import BlockingChannel

import why504

QUEUE = "invoices"


def book(invoice: dict[str, int]) -> None:
    reply = requests.post(os.environ["BOOKING_URL"], json=invoice)
    reply.raise_for_status()


def work(
    connection: pika.BlockingConnection, channel: BlockingChannel, tag: int, body: bytes
) -> None:
    try:
        book(json.loads(body))
    except requests.RequestException:
        done = functools.partial(channel.basic_nack, tag, requeue=False)
    else:
        done = functools.partial(channel.basic_ack, tag)
    connection.add_callback_threadsafe(done)


def main() -> None:
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["BROKER_URL"]))
    channel = connection.channel()
    channel.queue_declare(QUEUE, durable=True)
    channel.basic_qos(prefetch_count=4)
    threads = ThreadPoolExecutor(max_workers=4)

    def on_message(channel, method, properties, body):  # type: ignore[no-untyped-def]
        threads.submit(work, connection, channel, method.delivery_tag, body)

    channel.basic_consume(QUEUE, on_message)
    channel.start_consuming()


if __name__ == "__main__":
    why504.instrument(None)
    main()
