"""Celery as a peer of the load generator; see ../README.md.

Settings, from docs.celeryq.dev: a prefork pool with a process for each core ("Concurrency"), as handlers
here do nothing; results are ignored ("Tips and Best Practices"); a high prefetch multiplier for many short
tasks ("Prefetch Limits"); no gossip, mingle and heartbeat, no rate limits ("Optimizing"). Tasks are acknowledged early, which is the
default and faster; a worker that is killed loses what it holds, which the other peers do not.
"""

import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone

import celery
from celery import Celery, signals

import protocol

FOLDER = os.environ.get("PEER_FOLDER", "")
CORES = os.cpu_count() or 2

app = Celery("peer", broker=os.environ.get("PEER_BROKER"))
app.conf.update(
    task_default_queue="loadtest",
    task_ignore_result=True,
    task_serializer="json",
    worker_prefetch_multiplier=128,
    worker_disable_rate_limits=True,
    worker_send_task_events=False,
    task_send_sent_event=False,
    broker_connection_retry_on_startup=True,
    broker_pool_limit=10,
)


@app.task(name="load")
def load(number, planned, filling):
    protocol.record(FOLDER, number, planned)


@signals.worker_ready.connect
def ready(**_):
    protocol.say_ready(FOLDER)


def worker(environment):
    return subprocess.Popen(
        [
            sys.executable, "-m", "celery", "-A", "peer", "worker", "--pool", "prefork", "--concurrency", str(CORES),
            "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "error",
        ],
        env=environment, stdout=subprocess.DEVNULL,
    )


def put(producer, number, planned, filling, **options):
    load.apply_async((number, planned, filling), producer=producer, retry=False, **options)


def main():
    given = protocol.flags()
    if given.scenario not in ("enqueue", "drain", "latency", "steady", "burst"):
        protocol.skip(f"celery has no scenario {given.scenario} here")
    if not given.broker.startswith(("redis://", "amqp://")):
        protocol.skip("celery runs on redis:// and amqp://")
    if given.scenario == "enqueue" and (given.batch > 1 or given.producers > 1):
        protocol.skip("celery enqueues one by one; its callers share one thread here")
    url = given.broker.partition("?")[0]
    app.conf.broker_url = url
    if url.startswith("amqp://"):
        # An enqueue is done when the broker has confirmed it, as on the other brokers.
        app.conf.broker_transport_options = {"confirm_publish": True}
    filling = protocol.filling(given.payload)
    versions = {"celery": celery.__version__, "python": sys.version.split()[0]}
    with tempfile.TemporaryDirectory() as folder, app.producer_pool.acquire(block=True) as producer:
        environment = {**os.environ, "PEER_BROKER": url, "PEER_FOLDER": folder}
        records = protocol.Records(folder)
        start = time.time()
        if given.scenario in ("enqueue", "drain"):
            for number in range(given.tasks):
                put(producer, number, time.time(), filling)
        if given.scenario == "burst":
            due = time.time() + 5 + given.tasks * 0.002
            for number in range(given.tasks):
                put(producer, number, due, filling, eta=datetime.fromtimestamp(due, timezone.utc))
            if time.time() > due:
                sys.exit("the tasks went in too slowly: they are due already")
        if given.scenario == "enqueue":
            took = time.time() - start
            with app.connection_for_read() as connection:
                inside = connection.default_channel.queue_declare("loadtest", passive=True).message_count
            protocol.result(given, versions, lost=given.tasks - inside, tasks_per_second=given.tasks / took)
            app.control.purge()
            return
        process = worker(environment)
        try:
            protocol.until_ready(folder, process)
            if given.scenario in ("latency", "steady"):
                first = time.time() + 0.5
                for number in range(given.tasks):
                    planned = first + number / given.rate
                    time.sleep(max(0.0, planned - time.time()))
                    put(producer, number, planned, filling)
                took = time.time() - first
            records.until(given.tasks)
        finally:
            process.terminate()
            process.wait(60)
        records.read()
        if given.scenario == "drain":
            protocol.result(given, versions, records, tasks_per_second=given.tasks / records.took())
        elif given.scenario == "burst":
            protocol.result(given, versions, records, lateness_ms=records.spread())
        else:
            protocol.result(
                given, versions, records, latency_ms=records.spread(), tasks_per_second=given.tasks / took
            )


if __name__ == "__main__":
    main()
