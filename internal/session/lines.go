package session

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

func (f Fact) appendLine(dst []byte) []byte {
	kind := "at"
	if f.later {
		kind = "by"
	}
	return fmt.Appendf(dst, "%s %s %d %d\n", base64.RawURLEncoding.EncodeToString(f.key[:]), kind, f.at.UnixMilli(), f.until.Unix())
}

// parseFacts reads the lines of a file. A line that was cut short is left out:
// the writer stores the whole file anew with the next one.
func parseFacts(data []byte) []Fact {
	var facts []Fact
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) != 4 || !strings.HasSuffix(line, "\n") {
			continue
		}
		key, err := base64.RawURLEncoding.DecodeString(fields[0])
		at, atErr := strconv.ParseInt(fields[2], 10, 64)
		until, untilErr := strconv.ParseInt(fields[3], 10, 64)
		if errors.Join(err, atErr, untilErr) != nil || len(key) != len(factKey{}) || fields[1] != "at" && fields[1] != "by" {
			continue
		}
		facts = append(facts, Fact{key: factKey(key), at: time.UnixMilli(at), until: time.Unix(until, 0), later: fields[1] == "by"})
	}
	return facts
}
