package flow

import "net/http"

// Exchange is one request at one instance, and the response to it. Its methods
// respond; what they respond to is found out by the types that it is made of:
//
//   - request reads the request, and logs what is about it,
//   - sessions finds out which user it comes from, and keeps sessions.
type Exchange struct{ sessions }

// At returns the exchange for a request that reached this instance.
func (in *Instance) At(w http.ResponseWriter, r *http.Request, st *State) Exchange {
	return Exchange{sessions{request{in, w, r, st}}}
}
