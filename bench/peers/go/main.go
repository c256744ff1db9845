// River as a side of the benchmark: a program that makes the calls of bench/peers/program.mjs.
package main

import (
	"context"
	"fmt"
	"os"
)

func main() {
	ctx := context.Background()
	inbox := openInbox()
	var input input
	inbox.next(&input)
	answer, err := call(ctx, os.Args[len(os.Args)-1], input, inbox)
	if err != nil {
		send("error", err.Error())
		return
	}
	send("result", answer)
	// Whatever a client still has to do at its end is not waited for.
}

func call(ctx context.Context, name string, input input, inbox *inbox) (any, error) {
	switch name {
	case "serve":
		return nil, serve(ctx, input, inbox)
	case "addOnes":
		return nil, addOnes(ctx, input, inbox)
	case "timeAdds":
		return timeAdds(ctx, input)
	case "timeBulkAdds":
		return timeBulkAdds(ctx, input)
	case "work":
		return work(ctx, input, inbox)
	case "watchStarts":
		return nil, watchStarts(ctx, input, inbox)
	}
	return nil, fmt.Errorf("there is no call %q", name)
}
