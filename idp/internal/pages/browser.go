package pages

import "strings"

// token is a part of a User-Agent, and the name of the product for users.
type token struct{ part, name string }

// The first token found in a User-Agent counts, as many browsers also name others.
var (
	browsers = []token{
		{"Edg", "Microsoft Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Vivaldi/", "Vivaldi"},
		{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"Chromium/", "Chromium"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	}
	systems = []token{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"CrOS", "ChromeOS"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"},
	}
)

// browserName returns the browser and system in a User-Agent, such as «Firefox · Linux».
func browserName(userAgent string) string {
	var names []string
	for _, list := range [][]token{browsers, systems} {
		for _, t := range list {
			if strings.Contains(userAgent, t.part) {
				names = append(names, t.name)
				break
			}
		}
	}
	switch {
	case len(names) > 0:
		return strings.Join(names, " · ")
	case userAgent == "":
		return "?"
	case len(userAgent) > 40:
		return strings.ToValidUTF8(userAgent[:40], "") + "…"
	}
	return userAgent
}
