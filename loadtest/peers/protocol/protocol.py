"""What the peers in Python share: the flags, the account, the line of JSON. See ../README.md."""

import argparse
import json
import os
import struct
import sys
import time

RECORD = struct.Struct("<Qdd")  # number, planned, started


def flags():
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", required=True)
    parser.add_argument("--ledger", help="what Tidemill keeps beside RabbitMQ; no peer needs it")
    parser.add_argument("--scenario", required=True)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--payload", type=int, default=100)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--producers", type=int, default=1)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("-o", dest="output", default="json")
    return parser.parse_args()


def skip(why):
    print(why, file=sys.stderr)
    sys.exit(77)


def filling(payload):
    return "~" * max(0, payload - 50)


class Records:
    """What worker processes write: one file each, so that nothing of it passes through the broker."""

    def __init__(self, folder):
        self.folder = folder
        self.read_up_to = {}
        self.runs = {}
        self.late = []
        self.first = None
        self.last = None

    def read(self):
        for name in os.listdir(self.folder):
            if not name.endswith(".runs"):
                continue
            with open(os.path.join(self.folder, name), "rb") as file:
                file.seek(self.read_up_to.get(name, 0))
                data = file.read()
            whole = len(data) - len(data) % RECORD.size
            self.read_up_to[name] = self.read_up_to.get(name, 0) + whole
            for number, planned, started in RECORD.iter_unpack(data[:whole]):
                before = self.runs.get(number, 0)
                self.runs[number] = before + 1
                if before == 0:
                    self.late.append((started - planned) * 1e3)
                self.first = started if self.first is None else min(self.first, started)
                self.last = started if self.last is None else max(self.last, started)

    def until(self, tasks, patience=30.0):
        """Waits until all have run, or for so long nothing has."""
        seen, since = 0, time.monotonic()
        while True:
            self.read()
            if len(self.runs) >= tasks:
                return
            if len(self.runs) > seen:
                seen, since = len(self.runs), time.monotonic()
            if time.monotonic() - since > patience:
                return
            time.sleep(0.01)

    def took(self):
        return max(1e-6, (self.last or 0) - (self.first or 0))

    def spread(self):
        late = sorted(self.late)
        if not late:
            return None
        at = lambda share: round(late[min(len(late) - 1, max(0, -(-int(share * 1000) * len(late) // 1000) - 1))], 3)
        return {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "p999": at(0.999), "max": round(late[-1], 3)}


_own = None


def record(folder, number, planned):
    """Writes down that a handler has started; one write for each, which the system appends whole."""
    global _own
    if _own is None or _own[0] != os.getpid():
        path = os.path.join(folder, f"{os.getpid()}.runs")
        _own = (os.getpid(), os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    os.write(_own[1], RECORD.pack(number, planned, time.time()))


def until_ready(folder, process, patience=30.0):
    """Waits until a worker process has said that it is ready."""
    deadline = time.monotonic() + patience
    while not os.path.exists(os.path.join(folder, "ready")):
        if process.poll() is not None:
            sys.exit(f"the worker has ended with {process.returncode}")
        if time.monotonic() > deadline:
            sys.exit("the worker does not come up")
        time.sleep(0.01)


def say_ready(folder):
    with open(os.path.join(folder, "ready"), "w"):
        pass


def result(given, versions, records=None, lost=0, **found):
    line = {
        "scenario": given.scenario,
        "tasks": given.tasks,
        "tasks_per_second": None,
        "latency_ms": None,
        "lateness_ms": None,
        "lost": lost,
        "duplicates": 0,
        "versions": versions,
    }
    if records is not None:
        line["lost"] = given.tasks - len(records.runs)
        line["duplicates"] = sum(1 for runs in records.runs.values() if runs > 1)
    line.update(found)
    print(json.dumps(line), flush=True)
