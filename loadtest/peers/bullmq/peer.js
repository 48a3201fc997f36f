// BullMQ as a peer of the load generator; see ../README.md.
//
// Settings, from docs.bullmq.io: bulk adding for a backlog ("Adding jobs in bulk"); a worker with local
// concurrency ("Concurrency"); completed jobs are removed at once ("Auto-removal of jobs"); no events, as
// nobody listens. Producers and the worker have connections of their own.

import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { Queue, Worker } from 'bullmq';

const QUEUE = 'loadtest';
const BULK = 1000;

const flags = parse(process.argv.slice(2));
const url = new URL(flags.broker);
if (url.protocol !== 'redis:') skip('bullmq runs on redis://host:port alone');
const connection = {
  host: url.hostname,
  port: Number(url.port || 6379),
  password: url.password ? decodeURIComponent(url.password) : undefined,
  maxRetriesPerRequest: null,
};
const options = { removeOnComplete: true, removeOnFail: true };
const filling = '~'.repeat(Math.max(0, flags.payload - 50));
const now = () => performance.timeOrigin + performance.now();
const data = (number, planned) => ({ number, planned, filling });

function parse(words) {
  const flags = {
    tasks: 10000, payload: 100, concurrency: 256, batch: 1, producers: 1, rate: 200,
  };
  for (let at = 0; at < words.length; at += 2) {
    const name = words[at].replace(/^--/, '');
    const value = words[at + 1];
    if (name === '-o') continue;
    if (name === 'broker' || name === 'scenario') flags[name] = value;
    else if (name in flags) flags[name] = Number(value);
    else { console.error(`unexpected argument ${words[at]}`); process.exit(2); }
  }
  return flags;
}

function skip(why) {
  console.error(why);
  process.exit(77);
}

// Counts each task, and keeps how long after its planned instant it started.
class Watch {
  constructor(tasks) {
    this.runs = new Uint8Array(tasks);
    this.missing = tasks;
    this.late = new Float64Array(tasks);
    this.done = new Promise((resolve) => { this.resolve = resolve; });
  }

  note(number, planned) {
    if (this.first === undefined) this.first = now();
    if (this.runs[number]++ === 0) {
      this.late[number] = now() - planned;
      if (--this.missing === 0) this.resolve();
    }
  }

  spread() {
    const sorted = this.late.slice().sort();
    const at = (share) => round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]);
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99), p999: at(0.999), max: round(sorted[sorted.length - 1]) };
  }
}

const round = (number) => Math.round(number * 1000) / 1000;

function work(watch) {
  return new Worker(QUEUE, async (job) => watch.note(job.data.number, job.data.planned), {
    connection, concurrency: flags.concurrency, ...options,
  });
}

async function fill(queue, count, from = 0) {
  for (let begin = from; begin < from + count; begin += BULK) {
    const jobs = [];
    for (let n = begin; n < Math.min(begin + BULK, from + count); n += 1) {
      jobs.push({ name: 'load', data: data(n, now()), opts: options });
    }
    await queue.addBulk(jobs);
  }
}

// Waits until all have run, or for so long nothing has.
async function until(watch) {
  for (;;) {
    const before = watch.missing;
    const late = new Promise((resolve) => { setTimeout(resolve, 30000).unref(); });
    await Promise.race([watch.done, late]);
    if (watch.missing === 0 || watch.missing === before) return;
  }
}

const scenarios = {
  async enqueue(queue) {
    const share = Math.ceil(flags.tasks / flags.producers);
    const start = now();
    await Promise.all(Array.from({ length: flags.producers }, async (_, producer) => {
      const upto = Math.min(flags.tasks, (producer + 1) * share);
      for (let n = producer * share; n < upto; n += flags.batch) {
        const jobs = [];
        for (let m = n; m < Math.min(n + flags.batch, upto); m += 1) {
          jobs.push({ name: 'load', data: data(m, now()), opts: options });
        }
        if (jobs.length === 1) await queue.add('load', jobs[0].data, options);
        else await queue.addBulk(jobs);
      }
    }));
    const took = (now() - start) / 1000;
    const inside = await queue.getWaitingCount();
    return { tasks_per_second: flags.tasks / took, lost: Math.max(0, flags.tasks - inside), duplicates: Math.max(0, inside - flags.tasks) };
  },

  async drain(queue) {
    await fill(queue, flags.tasks);
    const watch = new Watch(flags.tasks);
    const worker = work(watch);
    await until(watch);
    // The last handlers have started; they count when the queue knows that they have ended.
    while (await queue.getActiveCount() > 0) await new Promise((resolve) => { setTimeout(resolve, 1); });
    const took = (now() - watch.first) / 1000;
    await worker.close();
    return { tasks_per_second: flags.tasks / took, watch };
  },

  async latency(queue) {
    const watch = new Watch(flags.tasks);
    const worker = work(watch);
    await worker.waitUntilReady();
    const first = now() + 500;
    const planned = (n) => first + (n * 1000) / flags.rate;
    const adding = [];
    for (let n = 0; n < flags.tasks;) {
      while (n < flags.tasks && planned(n) <= now()) {
        adding.push(queue.add('load', data(n, planned(n)), options));
        n += 1;
      }
      // The timer knows whole milliseconds; an immediate asks again at once.
      if (n < flags.tasks && planned(n) - now() > 2) await new Promise((resolve) => { setTimeout(resolve, 1); });
      else await new Promise((resolve) => { setImmediate(resolve); });
    }
    await Promise.all(adding);
    const took = (now() - first) / 1000;
    await until(watch);
    await worker.close();
    return { tasks_per_second: flags.tasks / took, latency_ms: watch.spread(), watch };
  },

  async burst(queue) {
    const due = now() + 2000 + flags.tasks * 0.1;
    for (let begin = 0; begin < flags.tasks; begin += BULK) {
      const jobs = [];
      for (let n = begin; n < Math.min(begin + BULK, flags.tasks); n += 1) {
        jobs.push({ name: 'load', data: data(n, due), opts: { ...options, delay: Math.ceil(due - now()) } });
      }
      await queue.addBulk(jobs);
    }
    if (now() > due) throw new Error('the tasks went in too slowly: they are due already');
    const watch = new Watch(flags.tasks);
    const worker = work(watch);
    await until(watch);
    await worker.close();
    return { lateness_ms: watch.spread(), watch };
  },
};
scenarios.steady = scenarios.latency;

const scenario = scenarios[flags.scenario];
if (!scenario) skip(`bullmq has no scenario ${flags.scenario}`);
const queue = new Queue(QUEUE, { connection });
await queue.waitUntilReady();
const { watch, ...found } = await scenario(queue);
const { version } = JSON.parse(readFileSync(new URL('./node_modules/bullmq/package.json', import.meta.url)));
console.log(JSON.stringify({
  scenario: flags.scenario,
  tasks: flags.tasks,
  tasks_per_second: null,
  latency_ms: null,
  lateness_ms: null,
  lost: watch ? watch.missing : 0,
  duplicates: watch ? watch.runs.filter((runs) => runs > 1).length : 0,
  ...found,
  versions: { bullmq: version, node: process.version },
}));
await queue.close();
process.exit(0);
