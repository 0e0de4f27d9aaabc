package session

// Kind is what a session stands for.
type Kind int

// The kinds. Sessions that browsers keep are of people.
const (
	Person Kind = iota // a user, signed in or by a token of theirs
	Client             // a program that an issuer gave a token in its own name
	Key                // an access key
)

// String returns what {http.oidc_rp.kind} says.
func (k Kind) String() string {
	switch k {
	case Client:
		return "client"
	case Key:
		return "key"
	}
	return "person"
}
