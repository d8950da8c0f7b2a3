package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
)

// A List is a text file of exceptions, each with its reason:
//
//	what => why
//
// Blank lines and lines that start with # are for the reader.
type List map[string]string

// ParseList reads a list. Name is used in errors.
func ParseList(name string, text []byte) (List, error) {
	l := List{}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		s := strings.TrimSpace(string(line))
		if s == "" || s[0] == '#' {
			continue
		}
		key, reason, ok := strings.Cut(s, " => ")
		reason = strings.TrimSpace(reason)
		if !ok || reason == "" {
			return nil, fmt.Errorf("%s:%d: %q has no reason", name, n, s)
		}
		if _, twice := l[key]; twice {
			return nil, fmt.Errorf("%s:%d: %q is there twice", name, n, key)
		}
		l[key] = reason
	}
	return l, nil
}

// Compare returns what is there but not listed, and what is listed but not
// there.
func (l List) Compare(what string, there []string) []string {
	var found []string
	for _, key := range there {
		if _, ok := l[key]; !ok {
			found = append(found, fmt.Sprintf("not listed %s: %s", what, key))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(l)) {
		if !slices.Contains(there, key) {
			found = append(found, fmt.Sprintf("listed %s that is not there: %s", what, key))
		}
	}
	return found
}

// Skips returns every test that may skip itself, as "file function".
func Skips(t *Tree) []string {
	var found []string
	for _, f := range t.Files {
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && f.Test && skips(fn) {
				found = append(found, f.Name+" "+fn.Name.Name)
			}
		}
	}
	return found
}

// skips says whether fn calls Skip, Skipf or SkipNow of anything.
func skips(fn *ast.FuncDecl) bool {
	found := false
	ast.Inspect(fn, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
				switch sel.Sel.Name {
				case "Skip", "Skipf", "SkipNow":
					found = true
				}
			}
		}
		return !found
	})
	return found
}

// promiseHeading opens the promises of a package comment.
const promiseHeading = "# What is promised"

// Promises returns every promise of the package comments, as
// "folder | promise" on one line.
func Promises(t *Tree) []string {
	var found []string
	for _, f := range t.Files {
		if f.Test || f.syntax.Doc == nil {
			continue
		}
		_, text, ok := strings.Cut(f.syntax.Doc.Text(), promiseHeading+"\n")
		if !ok {
			continue
		}
		if i := strings.Index(text, "\n# "); i >= 0 {
			text = text[:i]
		}
		for _, promise := range bullets(text) {
			found = append(found, f.Folder()+" | "+promise)
		}
	}
	slices.Sort(found)
	return found
}

// bullets returns the items of a list as gofmt writes it ("  - " or "  1. "),
// each on one line. Text that is not indented ends an item.
func bullets(text string) []string {
	var items []string
	open := false
	for line := range strings.Lines(text) {
		s := strings.TrimSpace(line)
		switch item, starts := bullet(line); {
		case starts:
			items, open = append(items, item), true
		case s == "", line[0] != ' ' && line[0] != '\t':
			open = open && s == ""
		case open:
			items[len(items)-1] += " " + s
		}
	}
	return items
}

// bullet returns the text of a line that opens an item of a list.
func bullet(line string) (string, bool) {
	if !strings.HasPrefix(line, " ") {
		return "", false
	}
	s := strings.TrimSpace(line)
	if item, ok := strings.CutPrefix(s, "- "); ok {
		return item, true
	}
	number, item, ok := strings.Cut(s, ". ")
	return item, ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// Tests returns the names of the tests and fuzz targets of each folder.
func Tests(t *Tree) map[string][]string {
	names := map[string][]string{}
	for _, f := range t.Files {
		if !f.Test {
			continue
		}
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && fn.Recv == nil && (strings.HasPrefix(fn.Name.Name, "Test") || strings.HasPrefix(fn.Name.Name, "Fuzz")) {
				names[f.Folder()] = append(names[f.Folder()], fn.Name.Name)
			}
		}
	}
	return names
}

// Unproved returns what is wrong with the proofs of the promises: l says for
// each promise, as Promises writes it, the tests that hold it, separated by
// commas. A test of another folder is written folder.TestName.
func Unproved(t *Tree, l List) []string {
	found := l.Compare("promise", Promises(t))
	tests := Tests(t)
	for _, promise := range slices.Sorted(maps.Keys(l)) {
		folder, _, _ := strings.Cut(promise, " | ")
		for name := range strings.SplitSeq(l[promise], ", ") {
			in := folder
			if i := strings.LastIndexByte(name, '.'); i >= 0 {
				in, name = name[:i], name[i+1:]
			}
			if !slices.Contains(tests[in], name) {
				found = append(found, fmt.Sprintf("no test %s in %s, which should hold: %s", name, in, promise))
			}
		}
	}
	return found
}
