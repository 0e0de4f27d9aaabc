package provider

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// backChannel is the one seat for what x/oauth2 has none for: it proves that a
// request is ours, by whatever method, and refuses answers that are not what
// the specifications say before x/oauth2 reads them more leniently.
type backChannel struct {
	base     http.RoundTripper
	prove    clientAuth
	clientID string
	secret   string
}

func (b *backChannel) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	request.Body.Close()
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	b.prove(request.Header, form, b.clientID, b.secret)
	request.Header.Set("Accept", "application/json")
	encoded := form.Encode()
	request.Body = io.NopCloser(strings.NewReader(encoded))
	request.ContentLength = int64(len(encoded))
	// No GetBody: a request whose code may have arrived is not sent again.
	request.GetBody = nil

	response, err := b.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(answer))
	if response.StatusCode/100 == 2 && request.Context().Value(untokened{}) == nil {
		if err := checkAnswer(response.StatusCode, answer); err != nil {
			return nil, err
		}
		// It is JSON whatever its label says; x/oauth2 goes by the label.
		response.Header.Set("Content-Type", "application/json")
	}
	return response, nil
}

// errAnswer marks an answer of the token endpoint that claims success and is
// none: to be told apart from one that could not be had.
var errAnswer = errors.New("the answer of the token endpoint")

// checkAnswer holds a successful answer to RFC 6749 5.1 and Core 3.1.3.3.
func checkAnswer(status int, body []byte) error {
	if status != http.StatusOK {
		return fmt.Errorf("%w has the status %d", errAnswer, status)
	}
	o, err := parseObject(body)
	if err != nil {
		return fmt.Errorf("%w %w", errAnswer, err)
	}
	for _, name := range []string{"access_token", "token_type", "id_token", "refresh_token"} {
		if _, err := o.text(name); err != nil {
			return fmt.Errorf("%w: %w", errAnswer, err)
		}
	}
	if kind, _ := o.text("token_type"); !strings.EqualFold(kind, "bearer") {
		return fmt.Errorf("%w has the token_type %q", errAnswer, clip(kind))
	}
	return nil
}
