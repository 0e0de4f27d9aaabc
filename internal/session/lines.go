package session

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A fact is a line of a file: its key, what decides what it ends, the time by
// our clocks and the time when it is over. A provider's word has its iat as
// well; a second line of it, with a plus sign, is for nodes of an earlier
// release, which skip the first.
const (
	endsWhole = "at"
	endsEarly = "by"
	endsByIAT = "iat"
)

func (f Fact) appendLine(dst []byte) []byte {
	key := base64.RawURLEncoding.EncodeToString(f.key[:])
	at, until := f.at.UnixMilli(), f.until.Unix()
	switch {
	case !f.later:
		return fmt.Appendf(dst, "%s %s %d %d\n", key, endsWhole, at, until)
	case f.issued.IsZero():
		return fmt.Appendf(dst, "%s %s %d %d\n", key, endsEarly, at, until)
	}
	dst = fmt.Appendf(dst, "%s %s %d %d %d\n", key, endsByIAT, at, until, f.issued.Unix())
	return fmt.Appendf(dst, "%s %s +%d %d\n", key, endsEarly, max(0, f.earlier.UnixMilli()), until)
}

// parseFacts reads the lines of a file. A line that was cut short is left out:
// the writer stores the whole file anew with the next one. all reports whether
// every line could be read.
func parseFacts(data []byte) (facts []Fact, all bool) {
	all = true
	for line := range strings.Lines(string(data)) {
		fact, forUs, ok := parseLine(line)
		all = all && ok
		if ok && forUs {
			facts = append(facts, fact)
		}
	}
	return facts, all
}

// parseLine reads a line. It is not for us if another line says it better.
func parseLine(line string) (fact Fact, forUs, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasSuffix(line, "\n") {
		return Fact{}, false, false
	}
	kind, size := fields[1], 4
	if kind == endsByIAT {
		size = 5
	}
	if len(fields) != size || kind != endsWhole && kind != endsEarly && kind != endsByIAT {
		return Fact{}, false, false
	}
	key, err := base64.RawURLEncoding.DecodeString(fields[0])
	at, atErr := strconv.ParseInt(fields[2], 10, 64)
	until, untilErr := strconv.ParseInt(fields[3], 10, 64)
	if errors.Join(err, atErr, untilErr) != nil || len(key) != len(factKey{}) {
		return Fact{}, false, false
	}
	fact = Fact{key: factKey(key), at: time.UnixMilli(at), until: time.Unix(until, 0), later: kind != endsWhole}
	if kind == endsByIAT {
		issued, err := strconv.ParseInt(fields[4], 10, 64)
		if err != nil || issued <= 0 {
			return Fact{}, false, false
		}
		fact.issued = time.Unix(issued, 0)
	}
	return fact, kind != endsEarly || fields[2][0] != '+', true
}
