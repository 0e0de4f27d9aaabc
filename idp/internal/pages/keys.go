package pages

// Keys of problems and notices for callers.
const (
	ProblemForm           = "csrf.problem" // the form has expired
	ProblemUserNameEmpty  = "username.missing"
	ProblemPassword       = "password.wrong" // the password, or the code with it, is wrong
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

// Rule returns the text of a rule for passwords. Names, with the names of their values,
// are: min_length (min), max_length (max), lower, upper, digit, symbol, strength, history
// (count) and names.
func Rule(name string, values map[string]string) Text { return Text{keyRule + name, values} }

// Violation returns the problem with a new password that breaks a rule. In addition to
// the names of rules, name may be characters or repeat.
func Violation(name string, values map[string]string) Problem {
	return Problem{FieldNewPassword, Text{keyViolation + name, values}}
}
