package arch

import (
	"os"
	"strings"
	"testing"

	"livebox-agent/testbench/build"
)

// thisModule loads the module that the test belongs to.
func thisModule(t *testing.T) *Tree {
	t.Helper()
	tree, err := Load(os.DirFS(root(t)), "livebox-agent")
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// list reads one of the lists beside this file.
func list(t *testing.T, name string) List {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ParseList(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func report(t *testing.T, findings []string) {
	t.Helper()
	if len(findings) > 0 {
		t.Error(strings.Join(findings, "\n"))
	}
}

func TestModuleKeepsTheRules(t *testing.T) {
	tree := thisModule(t)
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) { report(t, rule.Check(tree)) })
	}
}

// TestEveryLinkedModuleHasItsReason: a new dependency of the agent is a line
// in modules.txt that a reviewer sees.
func TestEveryLinkedModuleHasItsReason(t *testing.T) {
	linked, err := Linked(t.Context(), root(t))
	if err != nil {
		t.Fatal(err)
	}
	report(t, list(t, "modules.txt").Compare("in modules.txt", linked))
}

// TestEverySkipHasItsReason: a test that may skip itself is a line in
// skips.txt that says when.
func TestEverySkipHasItsReason(t *testing.T) {
	report(t, list(t, "skips.txt").Compare("in skips.txt", Skips(thisModule(t))))
}

// TestEveryPromiseHasItsTest: a promise in a package comment is a line in
// promises.txt that names the tests which hold it.
func TestEveryPromiseHasItsTest(t *testing.T) {
	report(t, Unproved(thisModule(t), list(t, "promises.txt")))
}
