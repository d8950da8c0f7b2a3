package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// A Rule says what is wrong with a module, one line per finding.
type Rule struct {
	Name  string
	Check func(*Tree) []string
}

// Rules lists the rules that need nothing but the syntax.
func Rules() []Rule {
	return []Rule{
		{"siblings do not import siblings", direction},
		{"the agent's code stays within its means", forbiddenImports},
		{"a package says what it is", packageComments},
		{"a package is named for what it holds", packageNames},
		{"nothing happens before main", noInit},
		{"a file has at most 600 lines", fileLength},
		{"a function has at most 80 lines", functionLength},
		{"what is exported is explained", exportedDocs},
	}
}

// mayImport lists, for each top-level folder, the other folders it may see.
func mayImport(folder string) []string {
	switch folder {
	case "agent":
		return []string{"collector", "buffer", "uplink", "firmware"}
	case "testbench":
		return []string{"collector", "buffer", "uplink", "firmware", "agent"}
	}
	return nil
}

// leaves are the packages that everyone may import.
func leaves() []string { return []string{"collector/catalogue", "collector/sample"} }

// agentSide says whether the box runs what is in a folder.
func agentSide(folder string) bool {
	return slices.Contains([]string{"agent", "collector", "buffer", "uplink", "firmware"}, topLevel(folder))
}

func direction(t *Tree) []string {
	var found []string
	for _, f := range t.Files {
		from := topLevel(f.Folder())
		leaf := slices.Contains(leaves(), f.Folder())
		for p, spec := range imports(f) {
			to, inside := strings.CutPrefix(p, t.Module+"/")
			if !inside {
				if leaf && !f.Test && isModule(p) {
					found = append(found, fmt.Sprintf("%s: leaf %s imports %s", t.at(spec), f.Folder(), p))
				}
				continue
			}
			switch {
			case slices.Contains(leaves(), to):
			case f.External() && topLevel(to) == "testbench":
			case leaf && !f.Test:
				found = append(found, fmt.Sprintf("%s: leaf %s imports %s", t.at(spec), f.Folder(), to))
			case topLevel(to) == from, slices.Contains(mayImport(from), topLevel(to)):
			default:
				found = append(found, fmt.Sprintf("%s: %s imports %s; %s may see only %v and the leaves",
					t.at(spec), f.Folder(), to, from, mayImport(from)))
			}
		}
	}
	slices.Sort(found)
	return found
}

// isModule says whether an import path names a package of another module: the
// standard library has no dot in the first element.
func isModule(p string) bool { return strings.Contains(topLevel(p), ".") }

// forbiddenImports holds what linters could be told to overlook.
func forbiddenImports(t *Tree) []string {
	product := map[string]string{
		"os/exec": "the agent starts no programs", "unsafe": "not in this module",
		"log": "use log/slog, passed in", "math/rand": "use math/rand/v2",
		"testing": "not in what is shipped", "C": "no cgo",
	}
	var found []string
	for _, f := range t.Files {
		for p, spec := range imports(f) {
			why, bad := product[p]
			bad = bad && agentSide(f.Folder()) && !f.Test && !strings.HasSuffix(f.syntax.Name.Name, "test")
			if strings.HasPrefix(p, "github.com/stretchr/testify") {
				why, bad = "standard library assertions", true
			}
			if bad {
				found = append(found, fmt.Sprintf("%s: imports %s: %s", t.at(spec), p, why))
			}
		}
	}
	slices.Sort(found)
	return found
}

func packageComments(t *Tree) []string {
	var found []string
	for folder, files := range t.folders() {
		var comments, names []string
		for _, f := range files {
			if f.Test {
				continue
			}
			names = append(names, f.syntax.Name.Name)
			if f.syntax.Doc != nil && !f.Generated {
				comments = append(comments, f.syntax.Doc.Text())
			}
		}
		if len(names) == 0 {
			continue
		}
		want := "Package " + names[0] + " "
		if names[0] == "main" {
			want = "Command " + folder[strings.LastIndexByte(folder, '/')+1:] + " "
		}
		generated := !slices.ContainsFunc(files, func(f File) bool { return !f.Generated })
		switch {
		case generated:
		case len(comments) != 1:
			found = append(found, fmt.Sprintf("%s: %d package comments, want 1", folder, len(comments)))
		case !strings.HasPrefix(comments[0], want):
			first, _, _ := strings.Cut(comments[0], "\n")
			found = append(found, fmt.Sprintf("%s: package comment starts %q, want %q", folder, first, want+"…"))
		}
	}
	slices.Sort(found)
	return found
}

func packageNames(t *Tree) []string {
	bad := []string{"util", "utils", "common", "helper", "helpers", "misc", "types", "lib", "pkg", "base", "shared"}
	var found []string
	for folder := range t.folders() {
		for part := range strings.SplitSeq(folder, "/") {
			if slices.Contains(bad, part) {
				found = append(found, fmt.Sprintf("%s: %q says nothing about what is in it", folder, part))
			}
		}
	}
	slices.Sort(found)
	return found
}

func noInit(t *Tree) []string {
	var found []string
	for _, f := range t.Files {
		if f.Generated {
			continue
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, t.at(fn)+": func init")
			}
		}
	}
	return found
}

// The limits of files and functions. What long code needs is another name.
const (
	maxFileLines     = 600
	maxFunctionLines = 80
)

func fileLength(t *Tree) []string {
	var found []string
	for _, f := range t.Files {
		if !f.Generated && f.Lines > maxFileLines {
			found = append(found, fmt.Sprintf("%s: %d lines", f.Name, f.Lines))
		}
	}
	return found
}

// functionLength counts the lines between the braces that are not comment.
func functionLength(t *Tree) []string {
	var found []string
	for _, f := range t.Files {
		if f.Generated {
			continue
		}
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			n := t.line(fn.Body.Rbrace) - t.line(fn.Body.Lbrace) - 1 - t.commentLines(f, fn.Body)
			if n > maxFunctionLines {
				found = append(found, fmt.Sprintf("%s: %s has %d lines", t.at(fn), fn.Name.Name, n))
			}
		}
	}
	return found
}

// commentLines counts the lines within body that hold nothing but comment.
func (t *Tree) commentLines(f File, body *ast.BlockStmt) int {
	code := map[int]bool{}
	ast.Inspect(body, func(n ast.Node) bool {
		if n != nil {
			code[t.line(n.Pos())], code[t.line(n.End())] = true, true
		}
		return true
	})
	lines := 0
	for _, group := range f.syntax.Comments {
		if group.Pos() < body.Lbrace || group.End() > body.Rbrace {
			continue
		}
		for n := t.line(group.Pos()); n <= t.line(group.End()); n++ {
			if !code[n] {
				lines++
			}
		}
	}
	return lines
}

func exportedDocs(t *Tree) []string {
	var found []string
	for _, f := range t.Files {
		if f.Test || f.Generated {
			continue
		}
		for _, d := range f.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
					found = append(found, fmt.Sprintf("%s: %s has no comment", t.at(d), d.Name.Name))
				}
			case *ast.GenDecl:
				found = append(found, t.undocumentedSpecs(d)...)
			}
		}
	}
	return found
}

// exportedReceiver says whether fn is a function, or a method that callers
// reach by name and not only by an interface of the standard library.
func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	if slices.Contains([]string{"Len", "Less", "Swap", "Error", "Unwrap", "Is", "Write", "Read", "Close"}, fn.Name.Name) {
		return false // named by an interface that everyone knows
	}
	typ := fn.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

func (t *Tree) undocumentedSpecs(d *ast.GenDecl) []string {
	var found []string
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
				found = append(found, fmt.Sprintf("%s: %s has no comment", t.at(s), s.Name.Name))
			}
		case *ast.ValueSpec:
			// One comment may introduce a group of values.
			if s.Doc != nil || s.Comment != nil || d.Doc != nil && d.Tok != token.TYPE {
				continue
			}
			for _, name := range s.Names {
				if name.IsExported() {
					found = append(found, fmt.Sprintf("%s: %s has no comment", t.at(s), name.Name))
				}
			}
		}
	}
	return found
}
