package sysbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"livebox-agent/collector"
)

const (
	// RefusedFor is how long what the box refused is not asked again.
	RefusedFor = time.Hour
	// LoginPause is how long no login is tried after one that was refused.
	LoginPause = 10 * time.Minute
)

// A session is what the box knows its user by.
type session struct {
	context string
	cookies []string // each name=value
}

// Bounds of what the box may ask to be sent back.
const (
	maxCookies = 8
	maxToken   = 1024
)

// token says whether s may be sent back in a header as it is: printable, and
// no separator of cookies.
func token(s string) bool {
	if s == "" || len(s) > maxToken {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ';' {
			return false
		}
	}
	return true
}

// addCookies takes the raw headers Set-Cookie. Names such as
// "e2c29097/sessid" are no tokens of RFC 6265, so http.Cookie drops them.
func (s *session) addCookies(headers []string) {
	for _, h := range headers {
		pair, _, _ := strings.Cut(h, ";")
		pair = strings.TrimSpace(pair)
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" || !token(pair) {
			continue
		}
		for i, c := range s.cookies {
			if strings.HasPrefix(c, name+"=") {
				s.cookies = append(s.cookies[:i], s.cookies[i+1:]...)
				break
			}
		}
		// A box clears a cookie by an empty value, and a date of 1970.
		if value != "" && len(s.cookies) < maxCookies {
			s.cookies = append(s.cookies, pair)
		}
	}
}

// show adds to the head of a request what the box knows the session by.
func (s *session) show(head []byte) []byte {
	if s.context != "" {
		head = fmt.Appendf(head, "X-Context: %s\r\n", s.context)
	}
	if len(s.cookies) > 0 {
		head = fmt.Appendf(head, "Cookie: %s\r\n", strings.Join(s.cookies, "; "))
	}
	return head
}

// errLogin marks the errors that say that there will be no session: what the
// box tells everybody can be asked all the same.
var errLogin = errors.New("log in")

// open logs in where there is no session. The caller has the turn.
func (c *Client) open(ctx context.Context) error {
	if c.session.context != "" || c.config.PasswordFile == "" {
		return nil
	}
	password, version, err := readPassword(c.config.PasswordFile)
	if err != nil {
		return c.failLogin(err)
	}
	if c.loginErr != nil && version == c.loginVersion && c.now() < c.loginAfter {
		return c.loginErr
	}
	var fresh session
	n, err := c.exchange(ctx, request{
		service: "sah.Device.Information", method: "createContext", session: &fresh, kind: kindLogin,
		parameters: map[string]string{"applicationName": "webui", "username": c.config.User, "password": password},
	})
	if err == nil {
		fresh.context, _ = n.Get("data", "contextID").Text()
		if !token(fresh.context) {
			err = fmt.Errorf("no context in the reply: %w", collector.ErrRefused)
		}
	}
	switch {
	case errors.Is(err, collector.ErrRefused):
		c.loginVersion, c.loginAfter = version, c.now()+LoginPause
		return c.failLogin(err)
	case err != nil:
		return fmt.Errorf("log in: %w", err)
	}
	c.loginErr = nil
	c.session = fresh
	c.log.Debug("session opened", "user", c.config.User)
	return nil
}

// failLogin notes why there is no session.
func (c *Client) failLogin(err error) error {
	first := c.loginErr == nil
	c.loginErr = fmt.Errorf("%w as %s: %w", errLogin, c.config.User, err)
	if first {
		c.log.Warn("login refused", "user", c.config.User, "err", err)
	}
	return c.loginErr
}
