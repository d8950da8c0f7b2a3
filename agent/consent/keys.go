package consent

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"livebox-agent/buffer/durable"
	"livebox-agent/collector/catalogue"
)

const (
	keysFile  = "pseudonyms"
	keyLength = sha256.Size
	// KeyLife is how long a key is used, so that a device can be followed for
	// that long and no longer.
	KeyLife = 30 * 24 * time.Hour
	// keepEvery is how much use is at most forgotten when power is lost.
	keepEvery = 24 * time.Hour
)

// record is how the file of keys is kept.
var record = durable.Format{Magic: [4]byte{'L', 'B', 'P', 'K'}, Version: 1, Oldest: 1, Limit: 16 << 10}

var errNoDirectory = errors.New("no state directory")

// Keys has the pseudonym keys of the granted purposes. They never leave the
// box. It is safe for concurrent use.
type Keys struct {
	root *os.Root // the state directory; nil: nothing is kept

	mu    sync.Mutex // guards what follows
	state keyState
	made  map[device]string // pseudonyms made under these keys
	alone error             // why the file is left alone; nil: it may be written
	kept  error             // why the last write came to nothing
	// unsaid is use that the keys on flash do not know of.
	unsaid time.Duration
}

// maxMade bounds the memory of pseudonyms; past it they are made again.
const maxMade = 1024

type device struct {
	purpose catalogue.Purpose
	mac     [6]byte
}

// keyState is the file.
type keyState struct {
	Keys map[string]key `json:"keys"` // by purpose
}

type key struct {
	Secret []byte `json:"secret"`
	// Used is for how long, in seconds: time in which the agent ran, since the
	// wall clock may be wrong or unknown for ever.
	Used int64 `json:"used"`
}

// OpenKeys reads the keys in the state directory, destroys those of purposes that granted does
// not have and makes those that are missing. The Keys are good whatever the
// error says; the error says that they were lost, or could not be read or kept,
// so that pseudonyms last for this run only.
func OpenKeys(root *os.Root, granted Set) (*Keys, error) {
	k := &Keys{root: root, made: map[device]string{}}
	err := k.read()
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if !durable.MayReplace(err) {
		k.alone = err
	}
	before := k.state.Keys
	k.state.Keys = map[string]key{}
	changed := false
	for _, p := range granted.Without(Of()) {
		old, ok := before[p.String()]
		if !ok || len(old.Secret) != keyLength {
			old, changed = newKey(), true
		}
		k.state.Keys[p.String()] = old
	}
	if changed || len(before) != len(k.state.Keys) || k.alone != nil {
		if werr := k.write(); k.alone == nil {
			err = errors.Join(err, werr)
		}
	}
	return k, err
}

// NewKeys returns keys for granted that are kept nowhere.
func NewKeys(granted Set) *Keys {
	k, _ := OpenKeys(nil, granted) // the error is that they are not kept
	return k
}

func newKey() key {
	k := key{Secret: make([]byte, keyLength)}
	rand.Read(k.Secret) // never fails: crypto/rand ends the program instead
	return k
}

func (k *Keys) read() error {
	if k.root == nil {
		return errNoDirectory
	}
	b, _, err := record.Read(k.root, keysFile)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &k.state); err != nil {
		k.state = keyState{}
		return fmt.Errorf("read %s: %w: %w", keysFile, durable.ErrDamaged, err)
	}
	return nil
}

func (k *Keys) write() error {
	k.kept = k.replace()
	return k.kept
}

// Kept says why the keys are not on flash, so that pseudonyms last for this run
// only; nil: they are.
func (k *Keys) Kept() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept
}

func (k *Keys) replace() error {
	if k.alone != nil {
		return k.alone
	}
	b, err := json.Marshal(k.state)
	if err != nil {
		return err
	}
	return record.Write(k.root, keysFile, b)
}

// Age adds to the time in which the keys were used, replaces those that are
// older than KeyLife, and tells whether there were any: pseudonyms made before
// are void.
func (k *Keys) Age(used time.Duration) (rotated bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unsaid += used
	if k.unsaid < keepEvery {
		return false, nil
	}
	for name, old := range k.state.Keys {
		old.Used += int64(k.unsaid / time.Second)
		if old.Used >= int64(KeyLife/time.Second) {
			old = newKey()
			rotated = true
		}
		k.state.Keys[name] = old
	}
	k.unsaid = 0
	if rotated {
		clear(k.made)
	}
	if len(k.state.Keys) == 0 {
		return false, nil
	}
	return rotated, k.write()
}

// Pseudonym returns the name under which a device may be spoken of for the
// purpose p: 11 characters of base64url, the first 64 bits of an HMAC-SHA-256
// of its address under the purpose's key. Without a key (the purpose is not
// granted) it is empty. Sources ask for each sample anew: keys rotate.
func (k *Keys) Pseudonym(p catalogue.Purpose, mac [6]byte) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := device{p, mac}
	if name, ok := k.made[d]; ok {
		return name
	}
	key, ok := k.state.Keys[p.String()]
	if !ok {
		return ""
	}
	h := hmac.New(sha256.New, key.Secret)
	h.Write(mac[:])
	if len(k.made) >= maxMade {
		clear(k.made)
	}
	k.made[d] = base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:8])
	return k.made[d]
}
