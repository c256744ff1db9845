package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// What a job carries.
type noop struct {
	N    int64  `json:"n"`
	Text string `json:"text,omitempty"`
}

func (noop) Kind() string { return "noop" }

const (
	reportEvery = 10 * time.Millisecond
	lookEvery   = 2 * time.Millisecond
)

// Counts what the handlers do, as bench/measure/tally.mjs does.
type tally struct {
	ran     atomic.Uint64
	started sync.Once
	firstAt atomic.Pointer[float64]
	cpuUs   float64
	marks   map[uint64]bool
	lock    sync.Mutex
	notes   []map[string]any
}

func newTally(marks []uint64) *tally {
	made := &tally{marks: map[uint64]bool{}, notes: []map[string]any{}}
	for _, mark := range marks {
		made.marks[mark] = true
	}
	return made
}

func (tally *tally) count() {
	tally.started.Do(func() {
		at := monotonicMs()
		tally.cpuUs = cpuUs()
		tally.firstAt.Store(&at)
	})
	ran := tally.ran.Add(1)
	if !tally.marks[ran] {
		return
	}
	tally.lock.Lock()
	defer tally.lock.Unlock()
	tally.notes = append(tally.notes, map[string]any{
		"ran": ran, "at": monotonicMs() - *tally.firstAt.Load(), "rssMb": rssMb(),
	})
}

func (tally *tally) state() map[string]any {
	return map[string]any{
		"isReady": true, "ran": tally.ran.Load(), "firstAt": tally.firstAt.Load(), "at": monotonicMs(),
	}
}

func (tally *tally) result() map[string]any {
	used := 0.0
	if tally.firstAt.Load() != nil {
		used = cpuUs() - tally.cpuUs
	}
	return map[string]any{
		"ran": tally.ran.Load(), "firstAt": tally.firstAt.Load(), "cpuUs": used, "maxRssMb": maxRssMb(),
		"marks": tally.notes, "mostAtOnce": 0, "failed": 0, "lags": []float64{},
	}
}

// One worker; reports its count until it is told to stop.
func work(ctx context.Context, input input, inbox *inbox) (any, error) {
	observer, err := pgx.Connect(ctx, input.ConnectionString)
	if err != nil {
		return nil, err
	}
	send("message", map[string]any{"isReady": true, "ran": 0})
	var start any
	if !inbox.next(&start) {
		return nil, nil
	}
	tally := newTally(input.Marks)
	err = startWorker(ctx, input, func(noop) { tally.count() })
	if err != nil {
		return nil, err
	}
	ticker := time.NewTicker(reportEvery)
	for {
		select {
		case <-ticker.C:
			send("message", tally.state())
		case text, isOpen := <-inbox.messages:
			var message json.RawMessage
			if !isOpen || !understand(text, &message) {
				return tally.result(), nil
			}
			ticker.Stop()
			state := tally.state()
			if state["releasedAt"], err = untilReleased(ctx, observer, input.LeftSQL); err != nil {
				return nil, err
			}
			send("message", state)
		}
	}
}

// One worker that says when it starts each job.
func watchStarts(ctx context.Context, input input, inbox *inbox) error {
	err := startWorker(ctx, input, func(job noop) {
		send("message", map[string]any{"n": job.N, "startedAt": monotonicMs()})
	})
	if err != nil {
		return err
	}
	send("message", map[string]any{"isReady": true})
	var message any
	for inbox.next(&message) {
	}
	return nil
}

func startWorker(ctx context.Context, input input, run func(noop)) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(_ context.Context, job *river.Job[noop]) error {
		run(job.Args)
		return nil
	}))
	client, err := openClient(ctx, input, &river.Config{
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: input.Options.MaxWorkers}},
		Workers: workers,
	})
	if err != nil {
		return err
	}
	return client.Start(ctx)
}

// A client with the options of the input, on a pool of their size.
func openClient(ctx context.Context, input input, config *river.Config) (*river.Client[pgx.Tx], error) {
	pool, err := connect(ctx, input, input.Options.PoolSize)
	if err != nil {
		return nil, err
	}
	// Zero means the default, here as there.
	config.FetchCooldown = time.Duration(input.Options.FetchCooldownMs) * time.Millisecond
	config.FetchPollInterval = time.Duration(input.Options.FetchPollMs) * time.Millisecond
	config.Logger = slog.New(slog.DiscardHandler)
	return river.NewClient(riverpgxv5.New(pool), config)
}

func connect(ctx context.Context, input input, size int32) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(input.ConnectionString)
	if err != nil {
		return nil, err
	}
	if size > 0 {
		config.MaxConns = size
	}
	return pgxpool.NewWithConfig(ctx, config)
}

// The time at which no job is left to run or to release.
func untilReleased(ctx context.Context, observer *pgx.Conn, leftSQL string) (float64, error) {
	for {
		var left int
		if err := observer.QueryRow(ctx, leftSQL).Scan(&left); err != nil {
			return 0, err
		}
		if left == 0 {
			return monotonicMs(), nil
		}
		time.Sleep(lookEvery)
	}
}
