package flow

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// checkParentKnown looks up the user of a handed-over session in the directories of
// the login host, if that is in the same configuration.
func (in *Instance) checkParentKnown(ctx context.Context, p *Provider, s *session.Session) *Failure {
	for _, host := range in.LoginHost.Instances {
		theirs := host.Providers[s.Parent.Provider]
		if theirs == nil || theirs.Registration != p.Registration {
			continue
		}
		parent := *s
		parent.ID, parent.Provider, parent.Username, parent.Parent = s.Parent.ID, s.Parent.Provider, s.Parent.Username, nil
		f := host.checkDirectories(ctx, theirs, &parent)
		if f != nil {
			f.Provider = p
		}
		return f
	}
	return nil
}

// notePerson lists the user who is handed over, if this login host has directories
// of known users. Sites in other configurations cannot ask those directories.
func (h *handoverFlow) notePerson(record *handover.Record) error {
	if len(h.KnownUsers) == 0 {
		return nil
	}
	person := handover.Person{
		Host: h.Scope().Origin.String(), Parent: record.Parent, User: h.knownUser(h.State.provider, h.State.session),
	}
	return h.changePeople(h.R.Context(), handover.ListOf(person.Parent.ID), func(people *handover.People) { people.Add(&person) })
}

// peopleWork is the name of WatchPeople's work, in logs.
const peopleWork = "users who were handed over"

// peopleEvery is the interval at which WatchPeople asks the directories.
const peopleEvery = 10 * time.Second

// WatchPeople ends the sessions of users who were handed over and are no longer
// known to the directories of this login host. It runs until ctx ends. An outage of
// the storage is logged when it begins.
func (in *Instance) WatchPeople(ctx context.Context) {
	failing := false
	in.Shared.Clock.Every(ctx, peopleWork, peopleEvery, func(ctx context.Context) {
		err := in.endUnknown(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			in.Logger.LogAttrs(ctx, slog.LevelError, "the storage does not answer", slog.String("event", "storage_down"), slog.String("for", peopleWork), errAttr(err))
		}
		failing = err != nil
	})
}

// endUnknown ends the sessions, here and at all sites, of handed-over users that
// the directories no longer know.
func (in *Instance) endUnknown(ctx context.Context) error {
	for _, name := range handover.ListNames() {
		if err := in.endUnknownOf(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// endUnknownOf does the work of endUnknown for one list, and removes expired
// entries.
func (in *Instance) endUnknownOf(ctx context.Context, name string) error {
	sealed, err := in.LoginHost.Handovers.List(ctx, name)
	if err != nil || len(sealed) == 0 {
		return err
	}
	people, _, err := in.openPeople(ctx, name, sealed)
	if err != nil {
		return err
	}
	over := make(map[string]bool)
	var errs []error
	for i := range people {
		person := &people[i]
		id := string(person.Parent.ID[:])
		if person.IsOver(in.Now()) {
			over[id] = true
			continue
		}
		if !in.isAt(person.Host) || in.Providers[person.User.Provider] == nil {
			continue
		}
		known, err := in.KnownUsers.Know(ctx, person.User)
		if err != nil || known {
			continue // during an outage the session goes on; requests that use it report it
		}
		if err := in.Sessions.RevokeParent(ctx, &person.Parent); err != nil {
			errs = append(errs, err)
			continue
		}
		over[id] = true
		in.Logger.LogAttrs(ctx, slog.LevelInfo, "a session at the login host and those at its sites end, because no directory of known_users knows the user", slog.String("event", "known_user_removed"),
			slog.String("user", person.Parent.Username), slog.String("provider", person.Parent.Provider),
			slog.String("session", audit.SessionName(&session.Session{ID: person.Parent.ID})))
	}
	if len(over) > 0 {
		errs = append(errs, in.changePeople(ctx, name, func(people *handover.People) {
			people.Remove(func(person *handover.Person) bool { return over[string(person.Parent.ID[:])] })
		}))
	}
	return errors.Join(errs...)
}

// isAt reports whether the instance serves an origin.
func (in *Instance) isAt(text string) bool {
	origin, err := address.ParseOrigin(text)
	return err == nil && slices.ContainsFunc(in.LoginHost.Hosts(), func(host string) bool {
		return host == "*" || address.HostMatches(host, origin.Host)
	})
}

// openPeople opens a sealed list.
func (in *Instance) openPeople(ctx context.Context, name string, sealed []byte) (people handover.People, ring *seal.Ring, err error) {
	ring, opened, unavailable := seal.OpenWith(ctx, in.Keys, func(ring *seal.Ring) (err error) {
		people, err = handover.OpenPeople(ring, name, sealed)
		return err
	})
	if unavailable != nil {
		return nil, nil, unavailable
	}
	if opened != nil {
		people = nil // its keys were withdrawn, which has ended the sessions in it
	}
	return people, ring, nil
}

// changePeople applies change to a list.
func (in *Instance) changePeople(ctx context.Context, name string, change func(*handover.People)) error {
	return in.LoginHost.Handovers.Change(ctx, name, func(sealed []byte) ([]byte, error) {
		people, ring, err := in.openPeople(ctx, name, sealed)
		if err != nil {
			return nil, err
		}
		change(&people)
		return handover.SealPeople(ring, name, people), nil
	})
}
