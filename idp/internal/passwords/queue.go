package passwords

import (
	"context"
	"net/netip"
	"slices"
	"sync"
)

const (
	// slots is the number of hashes computed at once on a node.
	slots = 2
	// maxWaiting is the maximum number of waiting callers in each class.
	maxWaiting = 128
)

// queue assigns slots to callers. There are two classes of callers: devices that have
// signed in before, and all others. While both are waiting, the classes alternate. Within
// a class, devices and address blocks take turns. If a class is full, the most recent
// caller of its largest group is refused, or else the new caller if its group would be as
// large. A flood from one address block thus keeps out only itself.
type queue struct {
	mu      sync.Mutex
	free    int
	classes [2]class
	next    int // the class whose turn is next
}

// class contains waiting callers.
type class struct {
	groups map[string][]*waiter
	order  []string // the groups, in the order of their turns
	size   int
}

type waiter struct {
	group  string
	weight int
	done   chan error // receives nil when the waiter has its slots
}

func newQueue() *queue {
	q := &queue{free: slots}
	for i := range q.classes {
		q.classes[i].groups = make(map[string][]*waiter)
	}
	return q
}

const (
	devices = iota
	others
)

// place returns the class and group of a caller.
func (c Caller) place() (class int, group string) {
	if c.Device != "" {
		return devices, c.Device
	}
	return others, Block(c.Address).String()
}

// Block returns the network that an address is counted in: a /24 for IPv4, a /64 for
// IPv6. It returns the zero Prefix for the zero Addr.
func Block(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	bits := 64
	if address.Is4() {
		bits = 24
	}
	block, _ := address.Prefix(bits) // the zero prefix for the zero address
	return block
}

// acquire waits for slots. The caller must call release when it is done. The error is
// ErrBusy if too many are waiting, or the cause of the context's end.
func (q *queue) acquire(ctx context.Context, caller Caller, weight int) (release func(), err error) {
	class, group := caller.place()
	w := &waiter{group: group, weight: weight, done: make(chan error, 1)}
	q.mu.Lock()
	if !q.classes[class].add(w) {
		q.mu.Unlock()
		return nil, ErrBusy
	}
	q.dispatch()
	q.mu.Unlock()
	select {
	case err := <-w.done:
		if err != nil {
			return nil, err
		}
		return func() { q.release(weight) }, nil
	case <-ctx.Done():
		q.abandon(class, w)
		return nil, context.Cause(ctx)
	}
}

func (q *queue) release(weight int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free += weight
	q.dispatch()
}

// abandon removes a waiter, or releases the slots that it has received meanwhile.
func (q *queue) abandon(class int, w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.classes[class].remove(w) {
		if err := <-w.done; err == nil {
			q.free += w.weight
		}
	}
	q.dispatch()
}

// dispatch assigns free slots to waiters, in turn. If the next waiter needs more slots
// than are free, it and all after it have to wait.
func (q *queue) dispatch() {
	for {
		turn := q.next
		if q.classes[turn].size == 0 {
			turn = 1 - turn
		}
		c := &q.classes[turn]
		if c.size == 0 {
			return
		}
		w := c.first()
		if w.weight > q.free {
			return
		}
		c.advance()
		q.free -= w.weight
		q.next = 1 - turn
		w.done <- nil
	}
}

// add appends a waiter to its group. It reports whether there was room.
func (c *class) add(w *waiter) bool {
	if c.size >= maxWaiting {
		largest := c.largest()
		if largest == w.group || len(c.groups[largest]) <= len(c.groups[w.group])+1 {
			return false
		}
		group := c.groups[largest]
		last := group[len(group)-1]
		c.remove(last)
		last.done <- ErrBusy
	}
	if len(c.groups[w.group]) == 0 {
		c.order = append(c.order, w.group)
	}
	c.groups[w.group] = append(c.groups[w.group], w)
	c.size++
	return true
}

func (c *class) largest() (largest string) {
	for _, group := range c.order {
		if len(c.groups[group]) > len(c.groups[largest]) {
			largest = group
		}
	}
	return largest
}

func (c *class) first() *waiter { return c.groups[c.order[0]][0] }

// advance removes the first waiter and moves its group to the end.
func (c *class) advance() {
	w := c.first()
	c.order = append(c.order[1:], w.group)
	c.remove(w)
}

// remove removes a waiter. It reports whether the waiter was there.
func (c *class) remove(w *waiter) bool {
	i := slices.Index(c.groups[w.group], w)
	if i < 0 {
		return false
	}
	c.size--
	c.groups[w.group] = slices.Delete(c.groups[w.group], i, i+1)
	if len(c.groups[w.group]) == 0 {
		delete(c.groups, w.group)
		c.order = slices.DeleteFunc(c.order, func(group string) bool { return group == w.group })
	}
	return true
}
