"""taskiq on a Redis stream as a peer of the load generator; see ../README.md.

Settings, from taskiq-python.github.io and taskiq-redis: the stream broker, the one that acknowledges;
two worker processes, the default, with --max-async-tasks as many slots as are asked for; uvloop; messages
written by orjson; no result backend, as nobody asks for results.
"""

import asyncio
import importlib.metadata
import os
import subprocess
import sys
import tempfile
import time

from taskiq import TaskiqEvents
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisStreamBroker

import protocol

FOLDER = os.environ.get("PEER_FOLDER", "")

broker = RedisStreamBroker(
    os.environ.get("PEER_BROKER", "redis://127.0.0.1:6379"), queue_name="loadtest", xread_count=100
).with_serializer(ORJSONSerializer())


@broker.task(task_name="load")
async def load(number: int, planned: float, filling: str) -> None:
    protocol.record(FOLDER, number, planned)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def ready(_) -> None:
    protocol.say_ready(FOLDER)


def worker(environment, concurrency):
    return subprocess.Popen(
        [
            sys.executable, "-m", "taskiq", "worker", "peer:broker", "--workers", "2", "--max-async-tasks",
            str(concurrency), "--log-level", "ERROR",
        ],
        env=environment, stdout=subprocess.DEVNULL,
    )


async def put_all(given, filling):
    share = -(-given.tasks // given.producers)

    async def caller(begin):
        for number in range(begin, min(begin + share, given.tasks)):
            await load.kiq(number, time.time(), filling)

    await asyncio.gather(*(caller(begin) for begin in range(0, given.tasks, share)))


async def offer(given, filling):
    first = time.time() + 0.5
    putting = set()
    for number in range(given.tasks):
        planned = first + number / given.rate
        await asyncio.sleep(max(0.0, planned - time.time()))
        task = asyncio.ensure_future(load.kiq(number, planned, filling))
        putting.add(task)
        task.add_done_callback(putting.discard)
    await asyncio.gather(*putting)
    return time.time() - first


async def main():
    given = protocol.flags()
    if given.scenario not in ("enqueue", "drain", "latency", "steady"):
        protocol.skip(f"taskiq has no scenario {given.scenario} in its broker")
    if not given.broker.startswith("redis://"):
        protocol.skip("taskiq runs on redis:// here")
    if given.scenario == "enqueue" and given.batch > 1:
        protocol.skip("taskiq enqueues one by one")
    url = given.broker.partition("?")[0]
    if os.environ.get("PEER_BROKER") != url:
        # The broker is made when this file is read, also in the worker.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PEER_BROKER": url})
    filling = protocol.filling(given.payload)
    versions = {name: importlib.metadata.version(name) for name in ("taskiq", "taskiq-redis")}
    await broker.startup()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PEER_FOLDER": folder}
        records = protocol.Records(folder)
        start = time.time()
        if given.scenario == "enqueue":
            await put_all(given, filling)
            took = time.time() - start
            import redis.asyncio

            async with redis.asyncio.from_url(url) as client:
                inside = await client.xlen("loadtest")
                await client.delete("loadtest")
            protocol.result(given, versions, lost=given.tasks - inside, tasks_per_second=given.tasks / took)
            return
        if given.scenario == "drain":
            given.producers = 64
            await put_all(given, filling)
        process = worker(environment, given.concurrency)
        try:
            await asyncio.to_thread(protocol.until_ready, folder, process)
            took = await offer(given, filling) if given.scenario != "drain" else None
            await asyncio.to_thread(records.until, given.tasks)
        finally:
            process.terminate()
            process.wait(60)
        records.read()
        if given.scenario == "drain":
            protocol.result(given, versions, records, tasks_per_second=given.tasks / records.took())
        else:
            protocol.result(
                given, versions, records, latency_ms=records.spread(), tasks_per_second=given.tasks / took
            )
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
