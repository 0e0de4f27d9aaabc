package mail

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// capacity is the maximum number of mails waiting. workers is how many are sent at once.
const (
	capacity = 500
	workers  = 2
)

// retries are the pauses before the second and later attempts.
var retries = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// Queue sends mails in the background. Callers never wait for it.
type Queue struct {
	sender  Sender
	writer  Writer
	logger  *slog.Logger
	now     func() time.Time
	retries []time.Duration
	outcome func(Kind, string)

	waiting chan *posted
	slots   chan struct{} // one for each mail, also between attempts
	context context.Context
	cancel  context.CancelFunc
	done    sync.WaitGroup
	// gate is read-locked while a mail is put into the queue. Thus none is put there
	// after the queue has been closed.
	gate   sync.RWMutex
	ended  bool
	closed chan struct{} // closed when ended is set
}

// posted is a mail in the queue.
type posted struct {
	Message
	kind    Kind
	userID  string
	until   time.Time // when the mail becomes useless; zero if never
	attempt int
}

// Outcomes of mails, for metrics.
const (
	Sent    = "sent"
	Failed  = "failed"
	Dropped = "dropped"
)

// Options are the arguments of Start.
type Options struct {
	Sender Sender
	Writer Writer
	Logger *slog.Logger
	Now    func() time.Time
	// Outcome is called when a mail has been sent or given up. It may be nil.
	Outcome func(kind Kind, outcome string)
}

// Start returns a Queue that sends mails until Close.
func Start(o Options) *Queue {
	if o.Outcome == nil {
		o.Outcome = func(Kind, string) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	q := &Queue{
		sender: o.Sender, writer: o.Writer, logger: o.Logger, now: o.Now, outcome: o.Outcome, retries: retries,
		waiting: make(chan *posted, capacity), slots: make(chan struct{}, capacity),
		context: ctx, cancel: cancel, closed: make(chan struct{}),
	}
	for range workers {
		q.done.Go(q.work)
	}
	return q
}

// Post writes a letter and queues it. It never waits: if too many mails are already
// waiting, the new one is dropped.
func (q *Queue) Post(l Letter) {
	p := &posted{kind: l.Kind, until: l.Until}
	if l.Kind.isNotice() {
		p.until = time.Time{}
	}
	if l.User != nil {
		p.userID = l.User.ID
	}
	if l.To == "" {
		return
	}
	var err error
	if p.Message, err = q.writer.Write(l); err != nil {
		q.gaveUp(p, Failed, err)
		return
	}
	select {
	case q.slots <- struct{}{}:
		if !q.put(p) {
			<-q.slots
			q.gaveUp(p, Dropped, errors.New("the server is being stopped"))
		}
	default:
		q.gaveUp(p, Dropped, errors.New("too many mails are waiting"))
	}
}

// put queues a mail that has a slot, so there is room for it. It reports whether the
// queue was still open.
func (q *Queue) put(p *posted) bool {
	q.gate.RLock()
	defer q.gate.RUnlock()
	if !q.ended {
		q.waiting <- p
	}
	return !q.ended
}

// work sends mails until the queue is closed and empty.
func (q *Queue) work() {
	for {
		select {
		case p := <-q.waiting:
			q.try(p)
		case <-q.closed:
			select {
			case p := <-q.waiting:
				q.try(p)
			default:
				return
			}
		}
	}
}

// try sends a mail. If that fails, it arranges another attempt or gives up.
func (q *Queue) try(p *posted) {
	if !p.until.IsZero() && !q.now().Before(p.until) {
		q.gaveUp(p, Dropped, errors.New("its link has expired"))
		<-q.slots
		return
	}
	err := q.sender.Send(q.context, p.Message)
	switch {
	case err == nil:
		<-q.slots
		q.outcome(p.kind, Sent)
		q.logger.LogAttrs(q.context, slog.LevelInfo, "mail sent", q.attrs(p, "mail_sent")...)
	case errors.Is(err, ErrPermanent) || p.attempt >= len(q.retries) || q.isClosed():
		<-q.slots
		q.gaveUp(p, Failed, err)
	default:
		q.logger.LogAttrs(q.context, slog.LevelWarn, "could not send a mail; it is tried again", append(q.attrs(p, "mail_retried"), errorAttr(err))...)
		q.done.Go(func() { q.later(p, q.retries[p.attempt]) })
	}
}

// later queues a mail again after a pause, or when the queue is closed.
func (q *Queue) later(p *posted, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	p.attempt++
	select {
	case <-timer.C:
	case <-q.closed:
	}
	if !q.put(p) { // the mail still has its slot
		q.try(p)
	}
}

func (q *Queue) isClosed() bool {
	q.gate.RLock()
	defer q.gate.RUnlock()
	return q.ended
}

func (q *Queue) gaveUp(p *posted, outcome string, err error) {
	q.outcome(p.kind, outcome)
	attrs := q.attrs(p, "mail_failed")
	if outcome == Dropped {
		attrs = q.attrs(p, "mail_dropped")
	}
	q.logger.LogAttrs(q.context, slog.LevelError, "mail not sent", append(attrs, errorAttr(err))...)
}

// attrs returns the attributes of a log line. They contain neither the address nor the
// text.
func (q *Queue) attrs(p *posted, event string) []slog.Attr {
	return []slog.Attr{slog.String("event", event), slog.String("mail", string(p.kind)), slog.String("user_id", p.userID), slog.Int("attempt", p.attempt+1)}
}

func errorAttr(err error) slog.Attr { return slog.String("error", logtext.Clean(err.Error(), 256)) }

// Close sends the waiting mails until ctx ends, and then stops.
func (q *Queue) Close(ctx context.Context) {
	q.gate.Lock()
	if !q.ended {
		q.ended = true
		close(q.closed)
	}
	q.gate.Unlock()
	ended := make(chan struct{})
	go func() {
		q.done.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		q.cancel()
		<-ended
	}
	q.cancel()
}
