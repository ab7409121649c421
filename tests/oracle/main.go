// The oracle of the cron tests: what robfig/cron, which Kubernetes uses, says to each case.
//
// It reads one JSON object a line from standard input and writes one a line, in the same order. Time zones come from the
// folder in $ZONEINFO, so that the tests can give it the same tz data as the Python side.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

// question: without a schedule, only whether the zone is known; without a count, only whether the schedule is valid.
type question struct {
	Schedule *string `json:"schedule"`
	Zone     string  `json:"zone"`
	Base     int64   `json:"base"`
	Count    int     `json:"count"`
}

// answer: the times are seconds since 1970, each one the next after the one before; fewer than asked if robfig gives up.
type answer struct {
	Accepted bool    `json:"accepted"`
	Times    []int64 `json:"times"`
}

func ask(q question) answer {
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		return answer{}
	}
	if q.Schedule == nil {
		return answer{Accepted: true}
	}
	schedule, err := cron.ParseStandard(*q.Schedule)
	if err != nil {
		return answer{}
	}
	times := []int64{}
	at := time.Unix(q.Base, 0).In(zone)
	for len(times) < q.Count {
		at = schedule.Next(at)
		if at.IsZero() {
			break
		}
		times = append(times, at.Unix())
	}
	return answer{Accepted: true, Times: times}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		text, err := json.Marshal(ask(q))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		out.Write(text)
		out.WriteByte('\n')
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
