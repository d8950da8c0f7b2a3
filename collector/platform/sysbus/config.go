package sysbus

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// Values of Config.ContentType: the two variants of the protocol.
const (
	// Bare is application/x-sah-ws-4-call+json. Every box since Livebox 3
	// takes it.
	Bare = "ws-4"
	// Wrapped is application/x-sah-ws-1-call+json.
	Wrapped = "ws-1"
)

// Config says where the box is and who asks it.
type Config struct {
	// URL is the box's web service without the path, such as
	// "http://127.0.0.1". Empty: there is none, and nothing is asked.
	URL string `toml:"url"`
	// User is the name to log in with.
	User string `toml:"user"`
	// PasswordFile holds the password on its first line. Root or the agent's
	// user must own it, and nobody else may read it. Empty: no login, which
	// leaves what a box tells everybody.
	PasswordFile string `toml:"password_file"`
	// ContentType is the variant of the protocol: Bare or Wrapped.
	ContentType string `toml:"content_type"`
}

// DefaultConfig asks the box that the program runs on. Where that is no Livebox,
// calls say so by collector.ErrNoData.
func DefaultConfig() Config {
	return Config{URL: "http://127.0.0.1", User: "admin", ContentType: Bare}
}

// Validate reports every problem.
func (c Config) Validate() error {
	var errs []error
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		switch {
		case err != nil:
			// The error of url.Parse shows the text, where a password may be.
			errs = append(errs, errors.New("url: not a URL"))
		case u.Scheme != "http":
			// The certificates of boxes are their own, so that TLS would prove
			// nothing.
			errs = append(errs, fmt.Errorf("url: scheme %q is not http", u.Scheme))
		case u.Hostname() == "", !token(u.Host):
			errs = append(errs, errors.New("url: no host that can be asked"))
		case u.User != nil:
			errs = append(errs, errors.New("url: the password belongs into password_file"))
		case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
			errs = append(errs, errors.New("url: only scheme and host, no path"))
		}
	}
	if c.PasswordFile != "" && c.User == "" {
		errs = append(errs, errors.New("user: needed with password_file"))
	}
	if c.ContentType != Bare && c.ContentType != Wrapped {
		errs = append(errs, fmt.Errorf("content_type: %q is neither %q nor %q", c.ContentType, Bare, Wrapped))
	}
	return errors.Join(errs...)
}

// host returns where a valid URL points: as a request names it, and as it is
// dialled.
func (c Config) host() (host, address string) {
	u, err := url.Parse(c.URL)
	if err != nil {
		panic("BUG: the URL was not validated")
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return u.Host, net.JoinHostPort(u.Hostname(), port)
}

// maxPassword bounds the password file.
const maxPassword = 1024

// CheckPasswordFile says whether the file would serve as
// Config.PasswordFile, and if not why. The error never holds its content.
func CheckPasswordFile(name string) error {
	_, _, err := readPassword(name)
	return err
}

// readPassword returns the first line of the file, and what tells this state
// of the file from a later one.
func readPassword(name string) (password, version string, err error) {
	// Not blocking, so that a pipe in the place of the file cannot hang it.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", "", fmt.Errorf("password file: %w", err)
	}
	defer f.Close()
	// The open file is looked at, not its name: nobody can swap it meanwhile.
	info, err := f.Stat()
	if err != nil {
		return "", "", fmt.Errorf("password file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", "", fmt.Errorf("password file %s: not a regular file", name)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return "", "", fmt.Errorf("password file %s: mode %04o lets others at it; want 0600", name, perm)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return "", "", fmt.Errorf("password file %s: owned by user %d; want root or the agent's", name, st.Uid)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxPassword+1))
	if err != nil {
		return "", "", fmt.Errorf("password file: %w", err)
	}
	if len(content) > maxPassword {
		return "", "", fmt.Errorf("password file %s: more than %d bytes", name, maxPassword)
	}
	password, _, _ = strings.Cut(string(content), "\n")
	password = strings.TrimSuffix(password, "\r")
	if password == "" {
		return "", "", fmt.Errorf("password file %s: no password on the first line", name)
	}
	return password, fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size()), nil
}
