package main

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Milliseconds that all processes of this machine read alike: the clock that Node calls hrtime.
func monotonicMs() float64 {
	var time unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &time); err != nil {
		panic(err)
	}
	return float64(time.Nano()) / 1e6
}

// Processor time of this process, in microseconds.
func cpuUs() float64 {
	usage := usage()
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e3
}

// The most memory that this process has had.
func maxRssMb() float64 {
	return float64(usage().Maxrss) / 1024
}

// The memory that it has now.
func rssMb() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseFloat(strings.Fields(string(text))[1], 64)
	return pages * 4096 / 1024 / 1024
}

func usage() (usage unix.Rusage) {
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage
}
