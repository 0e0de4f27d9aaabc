package flow

import "net/http"

// Exchange is one request at one instance, and the response to it. Its own methods
// respond. The types that it embeds determine what to respond to:
//
//   - request reads the request and logs,
//   - sessions identifies the user, and loads and stores sessions.
type Exchange struct{ sessions }

// At returns the exchange of a request at this instance.
func (in *Instance) At(w http.ResponseWriter, r *http.Request, st *State) Exchange {
	return Exchange{sessions{request{in, w, r, st}}}
}
