package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// What a call is given.
type input struct {
	ConnectionString string   `json:"connectionString"`
	Options          options  `json:"options"`
	LeftSQL          string   `json:"leftSql"`
	Marks            []uint64 `json:"marks"`
	Connections      int      `json:"connections"`
	DurationMs       float64  `json:"durationMs"`
	Size             int      `json:"size"`
	Calls            int      `json:"calls"`
}

// The options as the adapter writes them; what it leaves out is the default.
type options struct {
	MaxWorkers      int   `json:"maxWorkers"`
	FetchCooldownMs int   `json:"fetchCooldownMs"`
	FetchPollMs     int   `json:"fetchPollIntervalMs"`
	PoolSize        int32 `json:"poolSize"`
}

// The messages that the benchmark sends, one JSON text a line of the standard input.
type inbox struct {
	messages chan json.RawMessage
}

type line struct {
	Kind  string          `json:"kind"`
	Value json.RawMessage `json:"value"`
}

func openInbox() *inbox {
	opened := &inbox{messages: make(chan json.RawMessage, 100)}
	go func() {
		defer close(opened.messages)
		reader := bufio.NewReaderSize(os.Stdin, 1<<20)
		for {
			text, err := reader.ReadBytes('\n')
			if err != nil {
				return
			}
			var read line
			if err := json.Unmarshal(text, &read); err != nil {
				panic(err)
			}
			opened.messages <- read.Value
		}
	}()
	return opened
}

// Reads the next message into a place; false for "stop", and when the benchmark has gone.
func (opened *inbox) next(place any) bool {
	text, isOpen := <-opened.messages
	return isOpen && understand(text, place)
}

func understand(text json.RawMessage, place any) bool {
	if string(text) == `"stop"` {
		return false
	}
	if err := json.Unmarshal(text, place); err != nil {
		panic(err)
	}
	return true
}

var output sync.Mutex

// Sends to the benchmark: a "message", a "result" or an "error".
func send(kind string, value any) {
	text, err := json.Marshal(map[string]any{"kind": kind, "value": value})
	if err != nil {
		panic(err)
	}
	output.Lock()
	defer output.Unlock()
	fmt.Println(string(text))
}
