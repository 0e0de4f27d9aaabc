package authz

import "sync/atomic"

// Memory remembers what rules say about one session, for as long as the session
// is remembered itself. It is safe for concurrent use. A configuration that is loaded
// again makes new sets, so that no result of other rules is found.
type Memory struct{ results atomic.Pointer[[]result] }

type result struct {
	set     *Set
	outcome Outcome
}

// maxResults bounds the results of one session: those of an instance, of each of
// its routes, and of what other instances of the site remember of the same session.
const maxResults = 32

// Recall returns what sets of rules say about the user, if it depends on the session
// alone and is known. It costs less than Evaluate.
func (m *Memory) Recall(sets []*Set) (o Outcome, known bool) {
	for _, set := range sets {
		one, known := m.find(set)
		if !known || len(set.passing) > 0 {
			return Outcome{}, false
		}
		o.join(one)
	}
	return o, true
}

func (m *Memory) find(set *Set) (Outcome, bool) {
	if m == nil {
		return Outcome{}, false
	}
	if results := m.results.Load(); results != nil {
		for i := range *results {
			if (*results)[i].set == set {
				return (*results)[i].outcome, true
			}
		}
	}
	return Outcome{}, false
}

func (m *Memory) keep(set *Set, outcome Outcome) {
	if m == nil {
		return
	}
	var kept []result
	if before := m.results.Load(); before != nil && len(*before) < maxResults {
		kept = append(kept, *before...)
	}
	kept = append(kept, result{set, outcome})
	m.results.Store(&kept)
}
