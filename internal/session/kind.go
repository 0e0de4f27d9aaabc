package session

// Kind is what a session stands for.
type Kind int

// The kinds. Browsers only have sessions of persons.
const (
	Person Kind = iota // a user who signed in, or a program with a user's token
	Client             // a program with a token of its own
	Key                // an access key
)

// String returns the value of {http.oidc_rp.kind}.
func (k Kind) String() string {
	switch k {
	case Client:
		return "client"
	case Key:
		return "key"
	}
	return "person"
}
