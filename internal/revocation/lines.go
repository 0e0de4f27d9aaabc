package revocation

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Format of a file: each line is an event, with its key, its kind, its time by our
// clocks and its expiry. An event that the provider dated also has its iat, and is
// followed by a line with a plus sign for nodes of an earlier release, which skip
// the first one.
const (
	endsWhole = "at"
	endsEarly = "by"
	endsByIAT = "iat"
)

func (e Event) appendLine(dst []byte) []byte {
	key := base64.RawURLEncoding.EncodeToString(e.key[:])
	at, until := e.at.UnixMilli(), e.until.Unix()
	switch {
	case !e.later:
		return fmt.Appendf(dst, "%s %s %d %d\n", key, endsWhole, at, until)
	case e.issued.IsZero():
		return fmt.Appendf(dst, "%s %s %d %d\n", key, endsEarly, at, until)
	}
	dst = fmt.Appendf(dst, "%s %s %d %d %d\n", key, endsByIAT, at, until, e.issued.Unix())
	return fmt.Appendf(dst, "%s %s +%d %d\n", key, endsEarly, max(0, e.earlier.UnixMilli()), until)
}

// parseEvents parses the lines of a file. It skips truncated lines: the writer
// stores the whole file again with the next event. all reports whether it could
// parse every line.
func parseEvents(data []byte) (events []Event, all bool) {
	all = true
	for line := range strings.Lines(string(data)) {
		event, forUs, ok := parseLine(line)
		all = all && ok
		if ok && forUs {
			events = append(events, event)
		}
	}
	return events, all
}

// parseLine parses a line. forUs is false if another line has the same event in a
// newer form.
func parseLine(line string) (event Event, forUs, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasSuffix(line, "\n") {
		return Event{}, false, false
	}
	kind, size := fields[1], 4
	if kind == endsByIAT {
		size = 5
	}
	if len(fields) != size || kind != endsWhole && kind != endsEarly && kind != endsByIAT {
		return Event{}, false, false
	}
	key, err := base64.RawURLEncoding.DecodeString(fields[0])
	at, atErr := strconv.ParseInt(fields[2], 10, 64)
	until, untilErr := strconv.ParseInt(fields[3], 10, 64)
	if errors.Join(err, atErr, untilErr) != nil || len(key) != len(eventKey{}) {
		return Event{}, false, false
	}
	event = Event{key: eventKey(key), at: time.UnixMilli(at), until: time.Unix(until, 0), later: kind != endsWhole}
	if kind == endsByIAT {
		issued, err := strconv.ParseInt(fields[4], 10, 64)
		if err != nil || issued <= 0 {
			return Event{}, false, false
		}
		event.issued = time.Unix(issued, 0)
	}
	return event, kind != endsEarly || fields[2][0] != '+', true
}
