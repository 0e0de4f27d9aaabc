package revocation

import (
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

const (
	recordVersion = 1
	// datedRecordVersion holds an event that the provider dated. Nodes of earlier
	// releases cannot read it, and treat its sessions as ended.
	datedRecordVersion = 2
)

// record is the record of a key in a session store: the moment by our clocks and
// the moment by the provider's.
type record struct {
	all   [2]moment
	count int
}

func (r *record) moments() []moment { return r.all[:r.count] }

// add adds an event.
func (r *record) add(event Event) {
	m := event.moment()
	for i := range r.moments() {
		if (r.all[i].issued != 0) == (m.issued != 0) {
			r.all[i] = r.all[i].with(m)
			return
		}
	}
	r.all[r.count] = m
	r.count++
}

// newest returns the latest time by our clocks.
func (r *record) newest() (at int64, known bool) {
	for _, m := range r.moments() {
		if m.later() && (!known || m.at > at) {
			at, known = m.at, true
		}
	}
	return at, known
}

func (r *record) until() time.Time {
	var until uint32
	for _, m := range r.moments() {
		until = max(until, m.until)
	}
	return time.Unix(int64(until), 0)
}

// encode returns the encoded record, in a form that an earlier release can read if
// there is one.
func (r *record) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 32)}
	if r.count == 1 && r.all[0].issued == 0 {
		w.Byte(recordVersion)
		w.Byte(kindOf(r.all[0].later()))
		writeMoment(&w, r.all[0])
		return w.B
	}
	w.Byte(datedRecordVersion)
	for _, m := range r.moments() {
		w.Byte(kindOf(m.later()))
		writeMoment(&w, m)
		w.Varint(int64(m.issued))
	}
	return w.B
}

func writeMoment(w *wire.Writer, m moment) {
	at := m.at
	if !m.later() {
		at = 0
	}
	w.Varint(at)
	w.Varint(int64(m.until))
}

func readMoment(r *wire.Reader, kind byte) moment {
	m := moment{at: min(r.Varint(), always-1)}
	if kind == kindOf(false) {
		m.at = always
	}
	m.until = clampSeconds(time.Unix(r.Varint(), 0))
	return m
}

// decodeRecord decodes the record of a key.
func decodeRecord(encoded []byte) (found record, ok bool) {
	r := wire.Reader{S: string(encoded)}
	version := r.Byte()
	if version != recordVersion && version != datedRecordVersion {
		return record{}, false
	}
	for found.count < len(found.all) && (found.count == 0 || r.S != "") {
		kind := r.Byte()
		m := readMoment(&r, kind)
		if version == datedRecordVersion {
			m.issued = clampSeconds(time.Unix(r.Varint(), 0))
		}
		if r.Bad || kind > kindOf(true) {
			return record{}, false
		}
		found.all[found.count] = m
		found.count++
		if version == recordVersion {
			break
		}
	}
	if found.count == 2 && (found.all[0].issued != 0) == (found.all[1].issued != 0) {
		return record{}, false
	}
	return found, r.S == ""
}
