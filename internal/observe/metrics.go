package observe

import "sync"

// The counters and histograms. The names of counters end in _total, as is the
// convention of Prometheus.
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

// The gauges. Package telemetry determines their values when they are read.
var (
	ProviderUp = Metric{"provider_up", "Whether the provider answered last time it was asked: 1 or 0. There is no value before that.", []string{"provider"}}
	KeyAge     = Metric{"key_age_seconds", "How long the key that seals has existed.", []string{"keys"}}
	Streams    = Metric{"open_streams", "Open WebSockets and event streams of signed-in users.", nil}
	CacheSize  = Metric{"cache_sessions", "Opened sessions in memory.", nil}
)

// Counters has all counters.
var Counters []*Vector[Counter]

// Histograms has all histograms.
var Histograms = []*Vector[Histogram]{ProviderLatency}

// Gauges has all gauges.
var Gauges = []Metric{ProviderUp, KeyAge, Streams, CacheSize}

func counters(name, help string, labels ...string) *Vector[Counter] {
	v := &Vector[Counter]{Metric: Metric{name, help, labels}}
	Counters = append(Counters, v)
	return v
}

// providers counts, for each provider id, the configurations that have it.
var providers = struct {
	sync.Mutex
	users map[string]int
}{users: make(map[string]int)}

// UseProvider records that a configuration has a provider with this id. The values with
// this label are dropped when release has been called for all such configurations. A
// login that is counted after that creates a new value, which stays until the id is used
// and released again. That is rare, and there are at most as many such values as ids in
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
