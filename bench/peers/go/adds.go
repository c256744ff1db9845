package main

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"golang.org/x/sync/errgroup"
)

// A job as the benchmark describes it; River has no serial queues.
type job struct {
	Payload noop `json:"payload"`
}

// Creates what the side needs, and adds jobs, as it is told.
func serve(ctx context.Context, input input, inbox *inbox) error {
	client, err := openClient(ctx, input, &river.Config{})
	if err != nil {
		return err
	}
	for {
		var message struct{ Jobs []job }
		if !inbox.next(&message) {
			return nil
		}
		if message.Jobs == nil {
			err = migrate(ctx, input)
		} else {
			_, err = client.InsertManyFast(ctx, paramsOf(message.Jobs))
		}
		if err != nil {
			return err
		}
		send("message", nil)
	}
}

// Adds one job for each message, and says when it began to.
func addOnes(ctx context.Context, input input, inbox *inbox) error {
	client, err := openClient(ctx, input, &river.Config{})
	if err != nil {
		return err
	}
	send("message", map[string]any{"isReady": true})
	for {
		var message struct{ N int64 }
		if !inbox.next(&message) {
			return nil
		}
		addedAt := monotonicMs()
		if _, err := client.Insert(ctx, noop{N: message.N}, nil); err != nil {
			return err
		}
		send("message", map[string]any{"n": message.N, "addedAt": addedAt})
	}
}

// As many producers as connections, each adding one job after another, while others listen.
func timeAdds(ctx context.Context, input input) (any, error) {
	if err := migrate(ctx, input); err != nil {
		return nil, err
	}
	if err := listen(ctx, input); err != nil {
		return nil, err
	}
	input.Options.PoolSize = int32(input.Connections)
	client, err := openClient(ctx, input, &river.Config{})
	if err != nil {
		return nil, err
	}
	// The first ones connect and prepare.
	if _, err := produce(ctx, client, input.Connections, monotonicMs()); err != nil {
		return nil, err
	}
	startedAt := monotonicMs()
	added, err := produce(ctx, client, input.Connections, startedAt+input.DurationMs)
	return map[string]any{"value": float64(added) / (monotonicMs() - startedAt) * 1000}, err
}

// Lets producers add until a time, each at least once; gives back how many jobs they added.
func produce(ctx context.Context, client *river.Client[pgx.Tx], producers int, until float64) (int64, error) {
	var added atomic.Int64
	var running errgroup.Group
	for range producers {
		running.Go(func() error {
			for {
				if _, err := client.Insert(ctx, noop{N: added.Load()}, nil); err != nil {
					return err
				}
				added.Add(1)
				if monotonicMs() >= until {
					return nil
				}
			}
		})
	}
	err := running.Wait()
	return added.Load(), err
}

func listen(ctx context.Context, input input) error {
	for range 4 {
		listener, err := pgx.Connect(ctx, input.ConnectionString)
		if err != nil {
			return err
		}
		// The channel of River, in the schema that its tables are in.
		if _, err := listener.Exec(ctx, `listen "public.river_insert"`); err != nil {
			return err
		}
		go func() {
			for {
				if _, err := listener.WaitForNotification(ctx); err != nil {
					return
				}
			}
		}()
	}
	return nil
}

// Adds many jobs in one call, several times after a first one: the median of the jobs per second.
func timeBulkAdds(ctx context.Context, input input) (any, error) {
	if err := migrate(ctx, input); err != nil {
		return nil, err
	}
	client, err := openClient(ctx, input, &river.Config{})
	if err != nil {
		return nil, err
	}
	jobs := make([]job, input.Size)
	for n := range jobs {
		jobs[n].Payload = noop{N: int64(n), Text: strings.Repeat("x", 40)}
	}
	params := paramsOf(jobs)
	rates := []float64{}
	for range input.Calls + 1 {
		startedAt := monotonicMs()
		if _, err := client.InsertManyFast(ctx, params); err != nil {
			return nil, err
		}
		rates = append(rates, float64(input.Size)/(monotonicMs()-startedAt)*1000)
	}
	// The first one connects and prepares.
	rates = rates[1:]
	slices.Sort(rates)
	return map[string]any{"value": (rates[(len(rates)-1)/2] + rates[len(rates)/2]) / 2}, nil
}

func paramsOf(jobs []job) []river.InsertManyParams {
	params := make([]river.InsertManyParams, len(jobs))
	for n, job := range jobs {
		params[n] = river.InsertManyParams{Args: job.Payload}
	}
	return params
}

func migrate(ctx context.Context, input input) error {
	pool, err := connect(ctx, input, 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}
