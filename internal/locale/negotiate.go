package locale

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"
)

// What is read of what browsers send: browsers send less than a hundred bytes.
const (
	maxBytes = 1000
	maxTags  = 20
	maxTag   = 35 // characters (RFC 5646 4.4.1)
	maxQ     = 5  // characters of a weight (RFC 9110 12.4.2)
)

// Choose returns the language of a page: the first one of uiLocales that there is
// (OpenID Connect Core 3.1.2.1), else the one that the lines of Accept-Language prefer
// (RFC 9110 12.5.4), else English.
func (c *Catalogue) Choose(uiLocales string, acceptLanguage []string) *Language {
	if l := c.first(listed(uiLocales)); l != nil {
		return l
	}
	if l := c.first(accepted(acceptLanguage)); l != nil {
		return l
	}
	return c.English()
}

// Preferred returns the tag of the first available language in uiLocales, or the
// empty string.
func (c *Catalogue) Preferred(uiLocales string) string {
	if l := c.first(listed(uiLocales)); l != nil {
		return l.Tag()
	}
	return ""
}

// first returns the language of the first tag that is available, or nil. If no tag
// is, it returns one that readers of a requested language mostly understand, such
// as German for Luxembourgish.
func (c *Catalogue) first(tags []language.Tag) (relative *Language) {
	for _, tag := range tags {
		_, i, confidence := c.matcher.Match(tag)
		switch l := c.languages[i]; {
		case confidence == language.Exact, confidence == language.High && l.isOf(tag):
			return l
		case relative == nil && confidence >= language.Low:
			relative = l
		}
	}
	return relative
}

// isOf reports whether a tag names the language, or a region of it.
func (l *Language) isOf(tag language.Tag) bool {
	ours, _ := l.tag.Base()
	theirs, _ := tag.Base()
	return ours == theirs
}

// listed returns the tags in a space-separated list. Invalid tags are skipped.
func listed(text string) (tags []language.Tag) {
	for name := range strings.FieldsSeq(cut(text, maxBytes, " ")) {
		if tag, ok := parseTag(name); ok && len(tags) < maxTags {
			tags = append(tags, tag)
		}
	}
	return tags
}

// accepted returns the tags in lines of Accept-Language, the preferred one first.
// Invalid tags, and those without a positive weight, are skipped. An asterisk
// stands for English, since any language is acceptable.
func accepted(lines []string) []language.Tag {
	type weighted struct {
		tag language.Tag
		q   float64
	}
	var found []weighted
	left := maxBytes
	for _, line := range lines {
		if len(line) > left {
			line, left = cut(line, left, ","), 0
		} else {
			left -= len(line)
		}
		for element := range strings.SplitSeq(line, ",") {
			name, parameter, hasWeight := strings.Cut(element, ";")
			q, ok := weight(parameter)
			if !ok && hasWeight || len(found) == maxTags {
				continue
			}
			if name = strings.TrimSpace(name); name == "*" {
				found = append(found, weighted{english, q})
			} else if tag, ok := parseTag(name); ok {
				found = append(found, weighted{tag, q})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b weighted) int {
		switch {
		case a.q > b.q:
			return -1
		case a.q < b.q:
			return 1
		}
		return 0
	})
	tags := make([]language.Tag, len(found))
	for i, f := range found {
		tags[i] = f.tag
	}
	return tags
}

// weight returns the weight of an element; ok reports whether it is positive.
func weight(parameter string) (q float64, ok bool) {
	name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
	if !strings.EqualFold(name, "q") || len(value) > maxQ {
		return 1, false
	}
	q, err := strconv.ParseFloat(value, 64)
	return q, err == nil && q > 0 && q <= 1
}

func parseTag(name string) (language.Tag, bool) {
	if name == "" || len(name) > maxTag {
		return language.Und, false
	}
	tag, err := language.Parse(name)
	return tag, err == nil && tag != language.Und
}

// cut returns the longest prefix of a list that has at most max bytes and ends with
// a whole element.
func cut(list string, max int, separator string) string {
	if len(list) <= max {
		return list
	}
	return list[:strings.LastIndex(list[:max], separator)+1]
}
