package pages

// Keys of problems and notices that callers show.
const (
	ProblemForm           = "csrf.problem" // the form had expired
	ProblemUserNameEmpty  = "username.missing"
	ProblemPassword       = "password.wrong" // of password and code together
	ProblemPasswordEmpty  = "password.missing"
	ProblemCode           = "code.wrong"
	ProblemCodeEmpty      = "code.missing"
	ProblemMailedCode     = "code.expired"
	ProblemPasskey        = "passkey.wrong"
	ProblemCurrent        = "newpassword.current_wrong"
	ProblemRepeat         = "failure.repeat"
	ProblemLink           = "link.expired"
	ProblemNameTaken      = "register.name_taken"
	ProblemNameInvalid    = "register.name_invalid"
	ProblemEmail          = "register.email_invalid"
	ProblemLabel          = "rename.invalid"
	ProblemLastFactor     = "remove_factor.last"
	ProblemLastWay        = "unlink.last"
	NoticeSaved           = "notice.saved"
	NoticeRemoved         = "notice.removed"
	NoticeSessionEnded    = "notice.signed_out"
	keyRule, keyViolation = "rule.", "failure."
)

// Rule is the text of a rule that passwords have to keep to. Its names are
// min_length (min), max_length (max), lower, upper, digit, symbol, strength,
// history (count) and names.
func Rule(name string, values map[string]string) Text { return Text{keyRule + name, values} }

// Violation is the problem of a new password that breaks a rule: of one of those
// names, characters, or repeat.
func Violation(name string, values map[string]string) Problem {
	return Problem{FieldNewPassword, Text{keyViolation + name, values}}
}
