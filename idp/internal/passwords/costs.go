package passwords

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// This file measures how long imported hashes take. They can cost much more than
// ours, so that an answer, or the queue behind it, would show who has one: all
// verifications take as much of the queue. See turn.go.

// kindSize is how much of what is kept of an imported hash says what it costs, behind
// importedPrefix. It is not secret, and has no part of the hash.
const kindSize = 24

// KindPrefix and KindSize say which stored hashes are imported, and how many bytes of
// them Equalize takes.
const (
	KindPrefix = importedPrefix
	KindSize   = len(importedPrefix) + kindSize
)

// kindOf returns the costs of a hash that CheckImport accepts, in kindSize bytes.
func kindOf(hash string) string {
	kind := ""
	if strings.HasPrefix(hash, "$2") {
		kind = "bcrypt," + hash[4:6]
	} else if e, err := parse(hash); err == nil {
		kind = fmt.Sprintf("%s,%d,%d,%d", e.variant, e.memory, e.time, e.threads)
	}
	return kind + strings.Repeat(".", kindSize-len(kind))
}

// sampleOf returns a hash with the costs of a kind. What was imported before kinds
// were kept may cost as much as a hash with bcrypt can.
func sampleOf(kind string) string {
	dearest := fmt.Sprintf("$2a$%d$%s", maxBcryptCost, strings.Repeat(".", 53))
	parts := strings.Split(strings.TrimRight(kind, "."), ",")
	var numbers []uint64
	for _, part := range parts[1:] {
		number, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return dearest
		}
		numbers = append(numbers, number)
	}
	sample := dearest
	switch {
	case parts[0] == "bcrypt" && len(numbers) == 1:
		sample = fmt.Sprintf("$2a$%02d$%s", numbers[0], strings.Repeat(".", 53))
	case len(numbers) == 3:
		e := &encoded{params: params{parts[0], uint32(numbers[0]), uint32(numbers[1]), uint8(numbers[2])}, salt: make([]byte, saltSize), hash: make([]byte, hashSize)}
		sample = e.String()
	}
	if CheckImport(sample) != nil {
		return dearest
	}
	return sample
}

// measured is how long hashes of each kind take here.
type measured struct {
	mu    sync.Mutex
	times map[string]time.Duration
}

// Equalize has every verification from now on take what the costliest of the stored
// hashes takes, of which it gets the first KindSize bytes each. It returns for how long
// each has the queue; zero if there are none, so that each takes what it needs. Costs
// that are not known yet are measured, which takes the whole queue for that time.
func (p *Passwords) Equalize(ctx context.Context, stored []string) (lasts time.Duration, err error) {
	p.measured.mu.Lock()
	defer p.measured.mu.Unlock()
	if p.measured.times == nil {
		p.measured.times = make(map[string]time.Duration)
	}
	var slowest time.Duration
	for _, beginning := range stored {
		sample := sampleOf(strings.TrimPrefix(beginning, importedPrefix))
		took, known := p.measured.times[sample]
		if !known {
			if took, err = p.measure(ctx, sample); err != nil {
				return 0, err
			}
			p.measured.times[sample] = took
		}
		slowest = max(slowest, took)
	}
	lasts = slowest * 3 / 2 // for a busy machine
	p.turns.Store(int64(lasts))
	return lasts, nil
}

func (p *Passwords) measure(ctx context.Context, sample string) (time.Duration, error) {
	release, err := p.queue.acquire(ctx, Caller{}, slots)
	if err != nil {
		return 0, err
	}
	defer release()
	began := time.Now()
	if _, err := p.matchesImported(sample, "dummy"); err != nil {
		return 0, err
	}
	err = p.dummy(ctx)
	return time.Since(began), err
}
