package op

import (
	"encoding/binary"
	"errors"
	"time"
)

// This file encodes demands for transactions, so that the instance that serves the
// callback can check them, whichever it is.

// Parts of encoded demands. The first two are those of earlier releases: if there
// are no others, hashes of ACRs fill the rest.
const (
	demandsNone            = 0
	demandsMaxAge          = 1 << 0
	demandsACR             = 1 << 1
	demandsProof           = 1 << 2
	demandsLoginIsAuthTime = 1 << 3

	demandsFirst = demandsMaxAge | demandsACR
	demandsAll   = demandsFirst | demandsProof | demandsLoginIsAuthTime
)

// Encode returns the encoded demands, which are never empty. It encodes hashes of
// acr values.
func (d *Demands) Encode() string {
	encoded := []byte{demandsNone}
	if d.LoginIsAuthTime {
		encoded[0] |= demandsLoginIsAuthTime
	}
	if !d.Proof.IsZero() {
		encoded[0] |= demandsProof
	}
	if d.MaxAge != nil {
		encoded[0] |= demandsMaxAge
		encoded = appendSeconds(encoded, *d.MaxAge)
	}
	if d.ACR {
		encoded[0] |= demandsACR
		if encoded[0] > demandsFirst {
			encoded = binary.AppendUvarint(encoded, uint64(len(d.ACRs)))
		}
		encoded = appendHashes(encoded, d.ACRs)
	}
	if !d.Proof.IsZero() {
		encoded = d.Proof.appendTo(encoded)
	}
	return string(encoded)
}

// appendTo appends the encoded proof: max_age plus one, or zero for none, and the
// lists of hashes with their lengths.
func (p *Proof) appendTo(encoded []byte) []byte {
	if p.MaxAge == nil {
		encoded = append(encoded, 0)
	} else {
		encoded = binary.AppendUvarint(encoded, min(uint64(*p.MaxAge/time.Second), maxAgeSeconds)+1)
	}
	room := maxProofACRs
	for _, list := range p.ACR {
		if room -= len(list); room < 0 {
			break
		}
		encoded = binary.AppendUvarint(encoded, uint64(len(list)))
		encoded = appendHashes(encoded, list)
	}
	return encoded
}

func appendSeconds(encoded []byte, d time.Duration) []byte {
	return binary.AppendUvarint(encoded, min(uint64(d/time.Second), maxAgeSeconds))
}

func appendHashes(encoded []byte, values []string) []byte {
	for _, value := range values {
		hash := hashTexts(value)
		encoded = append(encoded, hash[:]...)
	}
	return encoded
}

var errNoDemands = errors.New("these are no demands")

// DecodeDemands decodes what Encode returned.
func DecodeDemands(text string) (Demands, error) {
	r := demandsReader{rest: []byte(text)}
	d := r.demands()
	if r.bad || len(r.rest) > 0 {
		return Demands{}, errNoDemands
	}
	return d, nil
}

// demandsReader reads encoded demands.
type demandsReader struct {
	rest []byte
	bad  bool
}

func (r *demandsReader) demands() (d Demands) {
	if len(r.rest) == 0 || r.rest[0] > demandsAll {
		r.bad = true
		return d
	}
	parts := r.rest[0]
	r.rest = r.rest[1:]
	if parts&demandsMaxAge != 0 {
		maxAge := r.seconds(0)
		d.MaxAge = &maxAge
	}
	if d.ACR = parts&demandsACR != 0; d.ACR {
		count := uint64(len(r.rest) / 8)
		if parts > demandsFirst {
			count = r.number()
		}
		d.hashes = r.hashes(count)
	}
	if parts&demandsProof != 0 {
		d.Proof = r.proof()
	}
	d.LoginIsAuthTime = parts&demandsLoginIsAuthTime != 0
	r.bad = r.bad || d.LoginIsAuthTime && d.MaxAge == nil && d.Proof.MaxAge == nil
	return d
}

func (r *demandsReader) proof() (p Proof) {
	if len(r.rest) > 0 && r.rest[0] == 0 {
		r.rest = r.rest[1:]
	} else {
		maxAge := r.seconds(1)
		p.MaxAge = &maxAge
	}
	for len(r.rest) > 0 && !r.bad {
		list := r.hashes(r.number())
		r.bad = r.bad || len(list) == 0
		p.hashes = append(p.hashes, list)
	}
	r.bad = r.bad || p.IsZero()
	return p
}

func (r *demandsReader) number() uint64 {
	number, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return number
}

// seconds decodes a duration that was encoded with more seconds added.
func (r *demandsReader) seconds(more uint64) time.Duration {
	seconds := r.number()
	if seconds < more || seconds-more > maxAgeSeconds {
		r.bad = true
		return 0
	}
	return time.Duration(seconds-more) * time.Second
}

func (r *demandsReader) hashes(count uint64) (all [][8]byte) {
	if count > uint64(len(r.rest)/8) {
		r.bad = true
		return nil
	}
	for range count {
		all = append(all, [8]byte(r.rest))
		r.rest = r.rest[8:]
	}
	return all
}
