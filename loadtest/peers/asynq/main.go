// asynq as a peer of the load generator; see ../README.md.
//
// Settings, from its wiki: concurrency as asked for; no retention, so that completed tasks are deleted; logs
// at error level. asynq has no call for many tasks: producers enqueue one by one, from goroutines.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

const (
	kind    = "load"
	version = "0.25.1"
	// Callers that put a backlog in.
	fillers = 64
	// A server looks for due tasks so often; the default is 5 s.
	lookout = 100 * time.Millisecond
)

type load struct {
	Number  int    `json:"number"`
	Planned int64  `json:"planned"`
	Filling string `json:"filling"`
}

// watch counts each task, and keeps how long after its planned instant it started.
type watch struct {
	runs    []int32
	late    []int64
	missing int64
	first   int64
	last    int64
	mutex   sync.Mutex
	done    chan struct{}
}

func newWatch(tasks int) *watch {
	return &watch{
		runs: make([]int32, tasks), late: make([]int64, tasks), missing: int64(tasks),
		first: math.MaxInt64, done: make(chan struct{}),
	}
}

func (w *watch) handle(_ context.Context, task *asynq.Task) error {
	at := time.Now().UnixMicro()
	var l load
	if err := json.Unmarshal(task.Payload(), &l); err != nil {
		return err
	}
	w.mutex.Lock()
	w.first = min(w.first, at)
	w.last = max(w.last, at)
	w.mutex.Unlock()
	if atomic.AddInt32(&w.runs[l.Number], 1) == 1 {
		w.late[l.Number] = at - l.Planned
		if atomic.AddInt64(&w.missing, -1) == 0 {
			close(w.done)
		}
	}
	return nil
}

// until waits until all have run, or for half a minute nothing has.
func (w *watch) until() {
	for before := int64(math.MaxInt64); ; {
		select {
		case <-w.done:
			return
		case <-time.After(30 * time.Second):
			now := atomic.LoadInt64(&w.missing)
			if now == before {
				return
			}
			before = now
		}
	}
}

func (w *watch) spread() map[string]float64 {
	late := append([]int64(nil), w.late...)
	sort.Slice(late, func(a, b int) bool { return late[a] < late[b] })
	at := func(share float64) float64 {
		place := int(math.Ceil(share*float64(len(late)))) - 1
		return float64(late[max(0, min(place, len(late)-1))]) / 1e3
	}
	return map[string]float64{"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "p999": at(0.999), "max": at(1)}
}

func fail(code int, words ...any) {
	fmt.Fprintln(os.Stderr, words...)
	os.Exit(code)
}

func main() {
	broker := flag.String("broker", "", "")
	scenario := flag.String("scenario", "", "")
	tasks := flag.Int("tasks", 10_000, "")
	payload := flag.Int("payload", 100, "")
	concurrency := flag.Int("concurrency", 256, "")
	batch := flag.Int("batch", 1, "")
	producers := flag.Int("producers", 1, "")
	rate := flag.Int("rate", 200, "")
	flag.String("o", "json", "")
	flag.Parse()
	if !strings.HasPrefix(*broker, "redis://") {
		fail(77, "asynq runs on redis:// here")
	}
	url, _, _ := strings.Cut(*broker, "?")
	redis, err := asynq.ParseRedisURI(url)
	if err != nil {
		fail(2, "the broker's URL cannot be read:", err)
	}
	client := asynq.NewClient(redis)
	defer client.Close()
	filling := strings.Repeat("~", max(0, *payload-56))
	put := func(number int, planned time.Time, options ...asynq.Option) {
		body, err := json.Marshal(load{number, planned.UnixMicro(), filling})
		if err == nil {
			_, err = client.Enqueue(asynq.NewTask(kind, body), options...)
		}
		if err != nil {
			fail(1, "a task was not enqueued:", err)
		}
	}
	all := func(callers int, each func(number int)) {
		var group sync.WaitGroup
		for caller := range callers {
			group.Add(1)
			go func() {
				defer group.Done()
				for number := *tasks * caller / callers; number < *tasks*(caller+1)/callers; number++ {
					each(number)
				}
			}()
		}
		group.Wait()
	}
	w := newWatch(*tasks)
	server := asynq.NewServer(redis, asynq.Config{
		Concurrency: *concurrency, LogLevel: asynq.ErrorLevel, DelayedTaskCheckInterval: lookout,
	})
	start := func() {
		if err := server.Start(asynq.HandlerFunc(w.handle)); err != nil {
			fail(1, "the server does not start:", err)
		}
	}
	found := map[string]any{
		"scenario": *scenario, "tasks": *tasks, "tasks_per_second": nil, "latency_ms": nil, "lateness_ms": nil,
		"versions": map[string]string{"asynq": version, "go": runtime.Version()},
	}
	switch *scenario {
	case "enqueue":
		if *batch > 1 {
			fail(77, "asynq enqueues one by one")
		}
		began := time.Now()
		all(*producers, func(number int) { put(number, time.Now()) })
		found["tasks_per_second"] = float64(*tasks) / time.Since(began).Seconds()
		// What is in is run, and so counted.
		start()
		w.until()
	case "drain":
		all(fillers, func(number int) { put(number, time.Now()) })
		start()
		w.until()
		found["tasks_per_second"] = float64(*tasks) / (float64(max(1, w.last-w.first)) / 1e6)
	case "latency", "steady":
		start()
		first := time.Now().Add(500 * time.Millisecond)
		var group sync.WaitGroup
		for number := range *tasks {
			planned := first.Add(time.Duration(number) * time.Second / time.Duration(*rate))
			time.Sleep(time.Until(planned))
			group.Add(1)
			go func() {
				defer group.Done()
				put(number, planned)
			}()
		}
		group.Wait()
		found["tasks_per_second"] = float64(*tasks) / time.Since(first).Seconds()
		w.until()
		found["latency_ms"] = w.spread()
	case "burst":
		due := time.Now().Add(2*time.Second + time.Duration(*tasks)*100*time.Microsecond)
		all(fillers, func(number int) { put(number, due, asynq.ProcessAt(due)) })
		if time.Now().After(due) {
			fail(1, "the tasks went in too slowly: they are due already")
		}
		start()
		w.until()
		found["lateness_ms"] = w.spread()
	default:
		fail(77, "asynq has no scenario", *scenario, "here")
	}
	server.Shutdown()
	duplicates := 0
	for _, runs := range w.runs {
		if runs > 1 {
			duplicates++
		}
	}
	found["lost"], found["duplicates"] = w.missing, duplicates
	line, err := json.Marshal(found)
	if err != nil {
		fail(1, err)
	}
	fmt.Println(string(line))
}
