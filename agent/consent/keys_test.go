package consent

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
)

var mac = [6]byte{2, 0, 0, 0, 1, 0}

func openKeys(t *testing.T, dir string, s Set) *Keys {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	k, err := OpenKeys(root, s)
	if err != nil {
		t.Fatalf("OpenKeys: %v", err)
	}
	return k
}

func TestPseudonymLastsAsLongAsItsKey(t *testing.T) {
	dir, s := t.TempDir(), Of(catalogue.Personalised, catalogue.Research)
	k := openKeys(t, dir, s)
	first := k.Pseudonym(catalogue.Personalised, mac)
	if len(first) != 11 {
		t.Fatalf("pseudonym %q; want 11 characters", first)
	}
	if again := k.Pseudonym(catalogue.Personalised, mac); again != first {
		t.Errorf("second pseudonym %q; want %q", again, first)
	}
	if other := k.Pseudonym(catalogue.Research, mac); other == first {
		t.Error("two purposes give one pseudonym")
	}
	if other := k.Pseudonym(catalogue.Personalised, [6]byte{2, 0, 0, 0, 1, 1}); other == first {
		t.Error("two devices have one pseudonym")
	}
	k = openKeys(t, dir, s)
	if again := k.Pseudonym(catalogue.Personalised, mac); again != first {
		t.Errorf("after a restart %q; want %q", again, first)
	}
	if got := k.Pseudonym(catalogue.Mobile, mac); got != "" {
		t.Errorf("pseudonym for a purpose that is not granted: %q", got)
	}
}

func TestWithdrawnPurposeLosesItsKey(t *testing.T) {
	dir, both := t.TempDir(), Of(catalogue.Personalised, catalogue.Support)
	k := openKeys(t, dir, both)
	secret := k.state.Keys["personalised"].Secret
	first := k.Pseudonym(catalogue.Personalised, mac)

	openKeys(t, dir, Of(catalogue.Support))
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, secret) || bytes.Contains(b, []byte("personalised")) {
			t.Errorf("%s still has the withdrawn key", f.Name())
		}
	}
	k = openKeys(t, dir, both)
	if again := k.Pseudonym(catalogue.Personalised, mac); again == first {
		t.Error("a purpose granted again has its old key")
	}
}

func TestKeyIsUsedForItsLifeAndNoLonger(t *testing.T) {
	dir, s := t.TempDir(), Of(catalogue.Personalised)
	k := openKeys(t, dir, s)
	first := k.Pseudonym(catalogue.Personalised, mac)
	const step = time.Hour
	used := time.Duration(0)
	for rotated := false; !rotated; used += step {
		if used > KeyLife {
			t.Fatalf("the key is still used after %v", used)
		}
		if used%(10*24*time.Hour) == 0 {
			k = openKeys(t, dir, s) // a restart is no new life
		}
		if k.Pseudonym(catalogue.Personalised, mac) != first {
			t.Fatalf("another pseudonym after %v", used)
		}
		var err error
		if rotated, err = k.Age(step); err != nil {
			t.Fatal(err)
		}
	}
	if used < KeyLife-3*keepEvery {
		t.Errorf("replaced after %v; want about %v", used, KeyLife)
	}
	if k.Pseudonym(catalogue.Personalised, mac) == first {
		t.Error("pseudonym outlives its key")
	}
}

func TestKeysThatCannotBeKeptLastForTheRun(t *testing.T) {
	k, err := OpenKeys(nil, Of(catalogue.Personalised))
	if err == nil {
		t.Fatal("no error without a state directory")
	}
	if p := k.Pseudonym(catalogue.Personalised, mac); p == "" || p != k.Pseudonym(catalogue.Personalised, mac) {
		t.Errorf("pseudonym %q is empty or unstable", p)
	}
}

// What a newer agent wrote has keys that it will want again, and one withdrawn
// meanwhile is destroyed when it can be read.
func TestKeysThatMayBeOfUseAreLeftAlone(t *testing.T) {
	dir, both := t.TempDir(), Of(catalogue.Personalised, catalogue.Support)
	k := openKeys(t, dir, both)
	secret := k.state.Keys["personalised"].Secret
	kept := k.Pseudonym(catalogue.Support, mac)
	file, aside := filepath.Join(dir, keysFile), filepath.Join(dir, "aside")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, spoil := range map[string]func() error{
		"a newer version": func() error {
			newer := record
			newer.Version++
			return newer.Write(root, keysFile, []byte(`{"rings":{}}`))
		},
		"nothing that the device gives": func() error {
			return errors.Join(os.Remove(file), os.Symlink(keysFile, file)) // ELOOP
		},
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(file)
		for _, granted := range []Set{both, Of(catalogue.Support), Of()} {
			k, err := OpenKeys(root, granted)
			if err == nil || k.Kept() == nil {
				t.Errorf("%s, %v: no error", name, granted)
			}
			first := k.Pseudonym(catalogue.Support, mac)
			if granted.Has(catalogue.Support) && (len(first) != 11 || first == kept || first != k.Pseudonym(catalogue.Support, mac)) {
				t.Errorf("%s, %v: pseudonym %q; want one of this run", name, granted, first)
			}
			if _, err := k.Age(KeyLife); granted != Of() && err == nil {
				t.Errorf("%s, %v: Age says that the keys are kept", name, granted)
			}
		}
		after, _ := os.ReadFile(file)
		if fi, err := os.Lstat(file); err != nil || !bytes.Equal(after, before) || before == nil && fi.Mode().IsRegular() {
			t.Errorf("%s: %v is now %q; want %q as it was", name, fi, after, before)
		}
		// The device gives it again, and consent is less.
		if err := errors.Join(os.WriteFile(aside, good, 0o600), os.Rename(aside, file)); err != nil {
			t.Fatal(err)
		}
		k := openKeys(t, dir, Of(catalogue.Support))
		if again := k.Pseudonym(catalogue.Support, mac); again != kept || k.Kept() != nil {
			t.Errorf("%s: pseudonym %q, kept: %v; want %q", name, again, k.Kept(), kept)
		}
		if b, err := os.ReadFile(file); err != nil || bytes.Contains(b, []byte(base64.StdEncoding.EncodeToString(secret))) {
			t.Errorf("%s: the withdrawn key is there still (%v)", name, err)
		}
	}
}

func TestDamagedKeysAreReplaced(t *testing.T) {
	dir := t.TempDir()
	openKeys(t, dir, Of(catalogue.Personalised))
	if err := os.WriteFile(filepath.Join(dir, keysFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	k, err := OpenKeys(root, Of(catalogue.Personalised))
	if err == nil {
		t.Error("no error for a damaged file")
	}
	first := k.Pseudonym(catalogue.Personalised, mac)
	k = openKeys(t, dir, Of(catalogue.Personalised))
	if again := k.Pseudonym(catalogue.Personalised, mac); again != first {
		t.Errorf("keys made after the damage were not kept: %q, %q", first, again)
	}
}
