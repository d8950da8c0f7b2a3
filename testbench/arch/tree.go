package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// A Tree is the syntax of every Go file of a module.
type Tree struct {
	Module string
	Files  []File

	fset *token.FileSet
}

// A File is one Go file.
type File struct {
	// Name is relative to the module's root, with slashes.
	Name string
	// Lines counts its lines.
	Lines int
	// Test says that its name ends in _test.go.
	Test bool
	// Generated says that a program wrote it.
	Generated bool

	syntax *ast.File
}

// Folder returns the folder of the file, "." for the module's root.
func (f File) Folder() string { return path.Dir(f.Name) }

// External says that f belongs to a test package of its own (package x_test).
func (f File) External() bool {
	return f.Test && strings.HasSuffix(f.syntax.Name.Name, "_test")
}

// Load parses the Go files under fsys, which is the root of module.
func Load(fsys fs.FS, module string) (*Tree, error) {
	t := &Tree{Module: module, fset: token.NewFileSet()}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if ignored(name) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		return t.add(fsys, name)
	})
	if err != nil {
		return nil, fmt.Errorf("load module: %w", err)
	}
	return t, nil
}

// ignored says whether the go command does not look into a folder either, or
// the folder holds what was built.
func ignored(folder string) bool {
	base := path.Base(folder)
	return folder == "build" || folder == "dist" || base == "testdata" ||
		base != "." && (base[0] == '.' || base[0] == '_')
}

func (t *Tree) add(fsys fs.FS, name string) error {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	syntax, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.Files = append(t.Files, File{
		Name: name, Lines: bytes.Count(text, []byte("\n")), syntax: syntax,
		Test: strings.HasSuffix(name, "_test.go"), Generated: ast.IsGenerated(syntax),
	})
	return nil
}

// at writes where a node is.
func (t *Tree) at(n ast.Node) string {
	p := t.fset.Position(n.Pos())
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// line returns the line of a position.
func (t *Tree) line(p token.Pos) int { return t.fset.Position(p).Line }

// folders groups the files by folder.
func (t *Tree) folders() map[string][]File {
	m := map[string][]File{}
	for _, f := range t.Files {
		m[f.Folder()] = append(m[f.Folder()], f)
	}
	return m
}

// imports returns the paths that f imports with the node of each.
func imports(f File) map[string]*ast.ImportSpec {
	m := map[string]*ast.ImportSpec{}
	for _, spec := range f.syntax.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			m[p] = spec
		}
	}
	return m
}

// topLevel returns the first element of a path.
func topLevel(p string) string {
	first, _, _ := strings.Cut(p, "/")
	return first
}
