package observe

import "sync"

// The metrics. A name that counts ends in _total, as Prometheus has it.
var (
	Logins = counters("logins_total",
		"Sign-ins that ended: success, or the error code.", "provider", "outcome")
	LoginStarts = counters("login_starts_total",
		"Logins that were begun: browsers that were sent to a provider.", "provider")
	Logouts = counters("logouts_total",
		"Logouts, by what brought them about, and whether they worked: success or failed.", "kind", "outcome")
	TokenRefreshes = counters("token_refreshes_total",
		"Refreshes of the tokens or claims of sessions: success, ended, unavailable or failed.", "provider", "outcome")
	SessionsOpened = counters("sessions_opened_total",
		"Requests by what their session cookie is worth.", "result")
	Refusals = counters("refusals_total",
		"Signed-in users and programs that were refused, by the kind of the rule.", "rule")
	Unauthorized = counters("unauthorized_total",
		"Responses with 401 to requests without a session that is good enough, by reason.", "reason")
	Programs = counters("programs_total",
		"Requests with a credential of a program: accepted, refused or unavailable.", "kind", "outcome")
	ProviderFailures = counters("provider_request_failures_total",
		"Requests to a provider that got no answer or one that is not good.", "provider", "endpoint")
	Revocations = counters("revocations_total",
		"Revocations that were written, by what they end.", "kind")
	CacheLookups = counters("cache_lookups_total",
		"Look-ups in the memory for opened sessions and for tokens of programs: hit or miss.", "cache", "result")
	StoreErrors = counters("store_errors_total",
		"Calls to a session store, and work on Caddy's storage, that failed.", "store", "operation")
	DirectoryLookups = counters("directory_lookups_total",
		"Questions to the directories of known users: known, unknown or unavailable.", "outcome")

	ProviderLatency = &Vector[Histogram]{Metric: Metric{"provider_request_duration_seconds",
		"Time until a provider answered a request of ours.", []string{"provider", "endpoint"}}}
)

// Gauges are metrics whose values are found out when they are read, see package
// telemetry.
var (
	ProviderUp = Metric{"provider_up", "Whether the provider answered last time it was asked: 1 or 0. There is no value before that.", []string{"provider"}}
	KeyAge     = Metric{"key_age_seconds", "How long the key that seals has existed.", []string{"keys"}}
	Streams    = Metric{"open_streams", "Open WebSockets and event streams of signed-in users.", nil}
	CacheSize  = Metric{"cache_sessions", "Opened sessions in memory.", nil}
)

// Counters are all metrics that count.
var Counters []*Vector[Counter]

// Histograms are all metrics that are histograms.
var Histograms = []*Vector[Histogram]{ProviderLatency}

// Gauges are all metrics that are gauges.
var Gauges = []Metric{ProviderUp, KeyAge, Streams, CacheSize}

func counters(name, help string, labels ...string) *Vector[Counter] {
	v := &Vector[Counter]{Metric: Metric{name, help, labels}}
	Counters = append(Counters, v)
	return v
}

// providers counts the configurations that have a provider of an id.
var providers = struct {
	sync.Mutex
	users map[string]int
}{users: make(map[string]int)}

// UseProvider notes that a configuration has a provider of this id. When none has it any
// more, its values are dropped. A login that is counted later makes a new value, until
// the id is used and given back once more: that is rare, and bounded by the ids of
// earlier configurations.
func UseProvider(id string) (release func() error) {
	providers.Lock()
	defer providers.Unlock()
	providers.users[id]++
	return func() error {
		providers.Lock()
		defer providers.Unlock()
		if providers.users[id]--; providers.users[id] > 0 {
			return nil
		}
		delete(providers.users, id)
		for _, v := range Counters {
			v.forget(id)
		}
		ProviderLatency.forget(id)
		return nil
	}
}
