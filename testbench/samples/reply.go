package samples

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/tree"
)

// load returns what a file of root holds.
func load(root *os.Root, name string) (tree.Node, error) {
	// A named pipe would never answer.
	info, err := root.Stat(name)
	switch {
	case err != nil:
		return tree.Node{}, plain(err)
	case !info.Mode().IsRegular():
		return tree.Node{}, errors.New("not a file")
	}
	f, err := root.Open(name)
	if err != nil {
		return tree.Node{}, plain(err)
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, tree.MaxBytes+1))
	if err != nil {
		return tree.Node{}, plain(err)
	}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\uFEFF")))
	switch {
	case len(body) == 0:
		return tree.Node{}, errors.New("empty file")
	case len(body) > tree.MaxBytes:
		return tree.Node{}, fmt.Errorf("more than %d bytes", tree.MaxBytes)
	}
	n, err := tree.Parse(body)
	switch {
	case err != nil:
		return tree.Node{}, err
	case !n.IsObject():
		return tree.Node{}, errors.New("not an object of JSON")
	}
	return n, nil
}

// plain is err without the path, which the row has.
func plain(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// unwrap returns the reply inside of what carries it: "result" of a Livebox's
// other content type, and the pair of status and reply of JSON-RPC.
func unwrap(n tree.Node) tree.Node {
	inner := n.Get("result")
	switch {
	case n.Get("status").Exists():
	case inner.IsObject():
		return inner
	case inner.IsList() && inner.Get("1").IsObject():
		return inner.Get("1")
	}
	return n
}

// refusal names the errors that the reply n is; empty if it is none.
func refusal(n tree.Node) string {
	entries := n.Get("errors")
	if !entries.Exists() {
		entries = n.Get("error")
		if _, ok := entries.Int(); ok {
			return nameError(n)
		}
	}
	if entries.IsObject() {
		return nameError(entries)
	}
	var names []string
	for i := range min(entries.Len(), 8) {
		if name := nameError(entries.Get(strconv.Itoa(i))); name != "" {
			names = append(names, name)
		}
	}
	if code, ok := n.Get("result", "0").Int(); ok && code != 0 && len(names) == 0 {
		return fmt.Sprintf("%d: status of the bus", code)
	}
	return strings.Join(names, ", ")
}

// nameError writes one error with what it means to the agent.
func nameError(n tree.Node) string {
	code, ok := n.Get("error").Int()
	if !ok {
		if code, ok = n.Get("code").Int(); !ok {
			return ""
		}
	}
	meaning := "other error"
	switch code {
	case sysbus.PermissionDenied:
		meaning = "permission denied, refused"
	case sysbus.NotFound:
		meaning = "not found, no data"
	case sysbus.ExecutionFailed:
		meaning = "execution failed"
	}
	text := strconv.FormatInt(code, 10) + ": " + meaning
	if words, _ := n.Get("description").Text(); words != "" {
		text += fmt.Sprintf(" (%.80s)", words)
	}
	return text
}

// holds says whether there is any value in n.
func holds(n tree.Node) bool {
	if !n.IsObject() && !n.IsList() {
		text, isText := n.Text()
		return n.Exists() && (!isText || text != "")
	}
	found := false
	n.Each(func(_ string, inner tree.Node) { found = found || holds(inner) })
	return found
}

// holdsMIB says whether the reply n of getMIBs has a value in a MIB whose name
// begins with prefix: a MIB that the interface does not have is left empty,
// beside others that it has.
func holdsMIB(n tree.Node, prefix string) bool {
	found := false
	n.Get("status").Each(func(key string, mib tree.Node) {
		found = found || strings.HasPrefix(key, prefix) && holds(mib)
	})
	return found
}
