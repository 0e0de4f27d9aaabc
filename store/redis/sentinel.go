package redis

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strconv"
	"time"
)

var (
	errDeposed   = errors.New("the Sentinels have made another server master")
	errUncertain = errors.New("no Sentinel knows the master")
)

// opinion is which server a Sentinel considers the master, and since which
// election.
type opinion struct {
	master string
	epoch  int
}

// confirm makes sure that a server is still the master. The library trusts the
// first Sentinel that responds, which may not know yet that others have elected
// another master. The old master, when it is restarted, acts as master with
// outdated records until it learns of that.
func (l *link) confirm(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, l.settings.Timeout/2)
	defer cancel()
	opinions := make(chan *opinion, len(l.settings.Addresses))
	for _, sentinel := range l.settings.Addresses {
		go func() {
			o, err := l.consult(ctx, sentinel)
			if err != nil {
				o = nil // ask the others
			}
			opinions <- o
		}()
	}
	var newest *opinion
	for range l.settings.Addresses {
		if o := <-opinions; o != nil && (newest == nil || o.epoch > newest.epoch) {
			newest = o
		}
	}
	switch {
	case newest == nil:
		return errUncertain
	case newest.master != address:
		return errDeposed
	}
	return nil
}

// consult asks a Sentinel for its opinion.
func (l *link) consult(ctx context.Context, sentinel string) (*opinion, error) {
	conn, err := l.open(ctx, sentinel, new(net.Dialer), l.settings.tls)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	r := bufio.NewReader(conn)
	if _, err := askOn(conn, r, hello(l.settings.SentinelUsername, l.settings.SentinelPassword)...); err != nil {
		return nil, err
	}
	place, err := askOn(conn, r, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", l.settings.Master)
	if err != nil {
		return nil, err
	}
	state, err := askOn(conn, r, "SENTINEL", "MASTER", l.settings.Master)
	if err != nil {
		return nil, err
	}
	text, _ := field(state, "config-epoch")
	epoch, err := strconv.Atoi(text)
	if err != nil || len(place) != 2 {
		return nil, errUncertain
	}
	return &opinion{net.JoinHostPort(place[0], place[1]), epoch}, nil
}
