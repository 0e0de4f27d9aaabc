package authz

import "sync/atomic"

// Memory caches results of rules for one session. It lives as long as the cached
// session, and is safe for concurrent use. A reloaded configuration has new sets,
// so that results of old rules are not used.
type Memory struct{ results atomic.Pointer[[]result] }

type result struct {
	set     *Set
	outcome Outcome
}

// maxResults is the maximum number of results per session: those of an instance and
// its routes, and of other instances of the site with the same session.
const maxResults = 32

// Recall returns the cached outcome of sets of rules, if it depends on the session
// alone. It is cheaper than Evaluate.
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
