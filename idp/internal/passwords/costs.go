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
// ours, so that an answer would show who has one: all answers have to wait as long.

// kindSize is how much of what is kept of an imported hash says what it costs, behind
// importedPrefix. It is not secret, and has no part of the hash.
const kindSize = 24

// KindPrefix and KindSize say which stored hashes are imported, and how many bytes of
// them Slowest takes.
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

// Slowest returns how long it takes here to verify the costliest of stored hashes,
// of which it gets the first KindSize bytes each. What is not known yet is measured,
// which takes the whole queue for that time.
func (p *Passwords) Slowest(ctx context.Context, stored []string) (slowest time.Duration, err error) {
	p.measured.mu.Lock()
	defer p.measured.mu.Unlock()
	if p.measured.times == nil {
		p.measured.times = make(map[string]time.Duration)
	}
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
	return slowest, nil
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
