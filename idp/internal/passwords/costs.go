package passwords

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// This file measures how long imported hashes take to verify. They can be far more
// expensive than our own, so response times, or the time that others wait in the queue,
// would reveal which accounts have one. Therefore all verifications occupy the queue for
// the same time. See turn.go.

// kindSize is the length of the kind of an imported hash, in bytes. The kind follows
// importedPrefix and describes the costs. It is not secret and contains no part of the
// hash.
const kindSize = 24

// KindPrefix is the prefix of stored hashes that were imported. KindSize is how many
// bytes of them Equalize needs.
const (
	KindPrefix = importedPrefix
	KindSize   = len(importedPrefix) + kindSize
)

// kindOf returns the kind of a hash that CheckImport accepts: kindSize bytes that
// describe its costs.
func kindOf(hash string) string {
	kind := ""
	if strings.HasPrefix(hash, "$2") {
		kind = "bcrypt," + hash[4:6]
	} else if e, err := parse(hash); err == nil {
		kind = fmt.Sprintf("%s,%d,%d,%d", e.variant, e.memory, e.time, e.threads)
	}
	return kind + strings.Repeat(".", kindSize-len(kind))
}

// sampleOf returns a hash with the costs of a kind. If the kind is missing or malformed,
// as in hashes imported before kinds were stored, it assumes the highest costs that
// bcrypt hashes may have.
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

// measured contains how long hashes of each kind take on this machine.
type measured struct {
	mu    sync.Mutex
	times map[string]time.Duration
}

// Equalize makes every verification take as long as the most expensive stored hash.
// stored contains the first KindSize bytes of each imported hash. Equalize returns for
// how long each verification occupies the queue; zero if stored is empty, in which case
// each takes only as long as it needs. Costs that are not known yet are measured, which
// blocks the queue for that time.
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
	lasts = slowest * 3 / 2 // a margin for busy machines
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
